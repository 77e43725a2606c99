// Four channels at a time, and the last ones of a row alone: the same code for both.

export class Four {}
export class One {}

// @ts-ignore: decorator
@inline
export function take<L>(from: usize): v128 {
  return idof<L>() == idof<Four>() ? v128.load(from) : v128.load32_zero(from);
}

// @ts-ignore: decorator
@inline
export function put<L>(to: usize, value: v128): void {
  if (idof<L>() == idof<Four>()) v128.store(to, value);
  else v128.store32_lane(to, value, 0);
}
