/** Names of data files that are known without a look at their content. */
export const isDataFileName = (name: string): boolean => /\.(zip|bin|tfrecords?(\.gz)?)$|\.tfrecords?-\d+-of-\d+$/i.test(name);
export const isManifestName = (name: string): boolean => /\.(txt|csv|tsv|jsonl|ndjson)$/i.test(name);
