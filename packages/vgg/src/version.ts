/** The package's version, as package.json has it (a test compares them): a page cannot read package.json. */
export const VERSION = '0.1.0';
