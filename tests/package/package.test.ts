// The package as people get it: packed, installed into an empty project, imported by every engine, built by every bundler.
import { afterAll, beforeAll, describe } from 'vitest';
import { bundleTests } from './bundle-tests.ts';
import { downloadTests } from './download-tests.ts';
import { engineTests } from './engine-tests.ts';
import { nodeTests } from './node-tests.ts';
import { installProject, type Project } from './support/project.ts';

let project: Project;

beforeAll(async () => {
  project = await installProject();
}, 180_000);

afterAll(() => project?.remove());

describe('the installed package in Node', () => nodeTests(() => project));
describe('the installed command and a server that does wrong', () => downloadTests(() => project));
describe('the installed package in a bundle', () => bundleTests(() => project));
describe('the installed package in other engines', () => engineTests(() => project));
