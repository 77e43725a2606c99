// The page: choose weights, look at pictures through a layer, train a head or the network itself on classes
// of pictures. Plain modules, no framework; the library is the ready-made bundle that this folder's server gives at /vgg/.
import { classesSection } from './parts/classes.js';
import { ignoreMissedDrops } from './parts/drop.js';
import { featuresSection } from './parts/features.js';
import { weightsSection } from './parts/weights.js';

const config = await fetch('config.json').then((response) => response.json());

ignoreMissedDrops();
const features = featuresSection(document.querySelector('#features'));
const classes = classesSection(document.querySelector('#classes'));
weightsSection(document.querySelector('#weights'), {
  served: config.weights,
  onModel(model, reach, start) {
    features.setModel(model, reach);
    classes.setModel(model, reach, start);
  },
});
