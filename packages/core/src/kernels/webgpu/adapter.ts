import type { AdapterLike, GpuLike } from '../../environment.js';

const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupsPerDimension',
] as const;
const FEATURES = ['shader-f16', 'subgroups', 'timestamp-query', 'bgra8unorm-storage'];

/** The best adapter, or null. */
export function bestAdapter(gpu: GpuLike): Promise<AdapterLike | null> {
  return gpu.requestAdapter({ powerPreference: 'high-performance' });
}

/** The limits that matter here, of an adapter or a device. */
export function limitsOf(holder: { readonly limits: object }): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const name of LIMITS) {
    const value = (holder.limits as Record<string, unknown>)[name];
    if (typeof value === 'number') limits[name] = value;
  }
  return limits;
}

/** The features of an adapter that this package can use. */
export function featuresOf(adapter: AdapterLike): string[] {
  return FEATURES.filter((name) => adapter.features.has(name));
}
