import type { BackendInfo, BackendName } from '@vgg/core';
import { splitRows } from '@vgg/core';
import type { Layer, Network } from '../network/plan.js';
import { summarize } from '../network/summary.js';

/** Where one layer runs. */
export interface Placement {
  readonly layer: string;
  readonly backend: BackendName;
  /** Into how many row blocks a dense layer's weights are cut so that each fits a buffer of the device. */
  readonly parts: number;
  /** Why it does not simply run whole on the model's own backend. */
  readonly reason?: string;
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;

/**
 * Which layer runs where for a batch of height x width pictures. Everything runs on the model's own backend, except what a GPU's
 * buffer limit cannot hold: dense weights (fc6 has 392 MiB) are cut into row blocks, and a layer whose map or filter is larger
 * than one buffer runs on WASM. Beyond its limit a device gives zeros without a word, so this is decided beforehand.
 */
export function place(
  network: Network,
  layers: readonly Layer[],
  batch: number,
  height: number,
  width: number,
  backend: BackendInfo,
): Placement[] {
  const limit = backend.limits ? Math.min(backend.limits.maxBindingBytes, backend.limits.maxBufferBytes) : Number.POSITIVE_INFINITY;
  const rows = summarize({ ...network, layers }, { height, width }).rows;
  let inputBytes = batch * height * width * network.channels * 4;
  return layers.map((layer, i) => {
    const outputBytes = rows[i].activationBytes * batch;
    const mapBytes = Math.max(inputBytes, outputBytes);
    const weightBytes = rows[i].parameters * 4;
    inputBytes = outputBytes;
    const here = { layer: layer.name, backend: backend.name, parts: 1 };
    if (mapBytes > limit) {
      return { ...here, backend: 'wasm', reason: `its maps take ${mebibytes(mapBytes)}, a buffer of this GPU holds ${mebibytes(limit)}` };
    }
    if (layer.kind === 'dense') {
      const parts = splitRows(layer.in, layer.out, limit).length;
      return parts === 1
        ? here
        : { ...here, parts, reason: `its weights take ${mebibytes(weightBytes)}, a buffer of this GPU holds ${mebibytes(limit)}` };
    }
    if (weightBytes > limit) {
      return {
        ...here,
        backend: 'wasm',
        reason: `its filters take ${mebibytes(weightBytes)}, a buffer of this GPU holds ${mebibytes(limit)}`,
      };
    }
    return here;
  });
}
