import { userEvent } from 'vitest/browser';

/** What a page gets when someone chooses this folder of the repository in an `<input type="file" webkitdirectory>`. */
export async function chooseFolder(path: string): Promise<FileList> {
  const input = document.createElement('input');
  input.type = 'file';
  input.webkitdirectory = true;
  document.body.append(input);
  try {
    await userEvent.upload(input, path);
    return input.files!;
  } finally {
    input.remove();
  }
}
