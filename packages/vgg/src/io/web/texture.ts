import { messageOf, VggError } from '@vgg/errors';
import type { Tile } from './pixels.js';

/** One for all pictures: browsers give out few. */
let shared: WebGL2RenderingContext | undefined;

function context(): WebGL2RenderingContext | undefined {
  if (shared === undefined || shared.isContextLost()) shared = new OffscreenCanvas(1, 1).getContext('webgl2') ?? undefined;
  return shared;
}

/**
 * A piece of a bitmap as RGBA that was never multiplied by alpha: uploaded to a texture and read back.
 *
 * @throws VggError `VGG_INPUT` where there is no WebGL 2, or it fails
 */
export async function readTexture(bitmap: ImageBitmap, { left, top, width, height }: Tile, name: string): Promise<Uint8Array> {
  const gl = context();
  if (gl === undefined)
    throw new VggError(
      'VGG_INPUT',
      `decode: ${name}: reading colours under transparency needs WebGL 2, which this browser does not give; pass a picture without alpha`,
    );
  const whole = width === bitmap.width && height === bitmap.height;
  const piece = whole
    ? bitmap
    : await createImageBitmap(bitmap, left, top, width, height, { premultiplyAlpha: 'none', colorSpaceConversion: 'none' });
  const texture = gl.createTexture();
  const frame = gl.createFramebuffer();
  const buffer = gl.createBuffer();
  try {
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, piece);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.bufferData(gl.PIXEL_PACK_BUFFER, width * height * 4, gl.STREAM_READ);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, 0);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    const rgba = new Uint8Array(width * height * 4);
    await finished(gl);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, buffer);
    gl.getBufferSubData(gl.PIXEL_PACK_BUFFER, 0, rgba);
    gl.bindBuffer(gl.PIXEL_PACK_BUFFER, null);
    const error = gl.getError();
    if (error !== gl.NO_ERROR) throw new Error(`WebGL error ${error}`);
    return rgba;
  } catch (cause) {
    throw new VggError('VGG_INPUT', `decode: ${name}: its colours under transparency could not be read (${messageOf(cause)})`, { cause });
  } finally {
    gl.deleteBuffer(buffer);
    gl.deleteFramebuffer(frame);
    gl.deleteTexture(texture);
    if (!whole) piece.close();
  }
}

/** Resolves once the GPU has done what it was given; reading earlier would hold up the page. */
async function finished(gl: WebGL2RenderingContext): Promise<void> {
  const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
  if (sync === null) throw new Error('the WebGL context was lost');
  gl.flush();
  try {
    for (;;) {
      const status = gl.clientWaitSync(sync, 0, 0);
      if (status === gl.CONDITION_SATISFIED || status === gl.ALREADY_SIGNALED) return;
      if (status === gl.WAIT_FAILED) throw new Error('the WebGL context was lost');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  } finally {
    gl.deleteSync(sync);
  }
}
