import type { BackendInfo } from '@vgg/core';
import type { Progress } from '@vgg/errors';
import type { WeightsInfo } from '../model.js';
import type { Network } from '../network/plan.js';
import type { Preprocessing } from '../pictures/preprocessing.js';
import type { RawImage } from '../pictures/raw.js';
import type { SentError } from './errors.js';

/** A picture on its way to the worker. */
export type SentImage =
  | { readonly kind: 'encoded'; readonly image: string | Blob | Uint8Array }
  | { readonly kind: 'raw'; readonly image: RawImage; readonly name: string | undefined }
  /** Ours, and closed by the worker. */
  | { readonly kind: 'shown'; readonly image: ImageBitmap | VideoFrame; readonly name: string | undefined }
  | {
      readonly kind: 'tensor';
      readonly shape: readonly number[];
      readonly dtype: string;
      readonly values: ArrayLike<number>;
      readonly name: string | undefined;
    }
  /** It could not be taken in the page. */
  | { readonly kind: 'failed'; readonly error: SentError; readonly name: string | undefined };

/** The pictures of a call: one (or a batch tensor), or as many as are asked for. */
export type SentImages = SentImage | 'asked';

/** The methods of a model that are called in the worker; those that give picture after picture are named `...All`. */
export type Method =
  | 'load'
  | 'ready'
  | 'warmUp'
  | 'memory'
  | 'fingerprint'
  | 'classNames'
  | 'extract'
  | 'extractAll'
  | 'embed'
  | 'embedAll'
  | 'classify'
  | 'classifyAll';

/** To the worker. `id` is the call's. */
export type ToWorker =
  | {
      readonly type: 'call';
      readonly id: number;
      readonly method: Method;
      readonly images: SentImages | undefined;
      readonly args: readonly unknown[];
      readonly options: object;
      /** With `load`: what relative URLs are relative to, and the settings of the page's URL. */
      readonly page?: { readonly base: string; readonly search: string };
    }
  /** Asks for the next item of a call that gives several. */
  | { readonly type: 'next'; readonly id: number }
  /** The answer to `ask`; neither image nor error at the end. */
  | { readonly type: 'image'; readonly id: number; readonly image?: SentImage; readonly error?: SentError }
  /** Nobody waits for this call any more. */
  | { readonly type: 'abort'; readonly id: number };

/** To the page. */
export type ToPage =
  | { readonly type: 'ready'; readonly version: string }
  /** The worker's script could not be imported. */
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown; readonly backend: BackendInfo | undefined }
  | { readonly type: 'error'; readonly id: number; readonly error: SentError }
  /** Asks for the next picture of a call. */
  | { readonly type: 'ask'; readonly id: number }
  | { readonly type: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly type: 'warning'; readonly message: string };

/** What `load` answers: all that a model tells without computing. */
export interface Loaded {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  readonly weights: WeightsInfo;
  readonly deepest: string;
  /** Every tensor of the network that the weights do not hold. */
  readonly missing: readonly string[];
}
