export * from '@vgg/loaders';
