import 'vgg/worker';
