export { matlab5 } from './matlab5.js';
export { matlab73 } from './matlab73.js';
