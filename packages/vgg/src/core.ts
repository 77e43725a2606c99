export * from '@vgg/core';
