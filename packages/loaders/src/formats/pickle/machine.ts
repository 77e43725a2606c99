import { VggError } from '@vgg/errors';
import { latin1 } from '../../bytes.js';
import { pastLimit } from '../../refusals.js';
import type { ReadOptions, Source } from '../../source.js';
import { MAX_MARKS, MAX_OBJECTS, MAX_STACK, MAX_STEPS } from './limits.js';
import { literal } from './literals.js';
import { refusedGlobal } from './refused.js';
import {
  type Call,
  corrupt,
  Dict,
  describeValue,
  type Global,
  Instance,
  isGlobal,
  isWhole,
  type Make,
  textOf,
  type Value,
} from './values.js';
import { Window } from './window.js';

export interface UnpickleOptions extends ReadOptions {
  /** What a global of this name (`collections.OrderedDict`) stands for; undefined for one that is not allowed. */
  globals?: (name: string) => Make | undefined;
  /** What a persistent id stands for: PyTorch's storages. Without it there may be none. */
  persistent?: (id: Value) => Value;
}

export interface Unpickled {
  readonly value: Value;
  /** Where the pickle ends in the source. */
  readonly end: number;
}

/**
 * Reads one pickle as plain data, of protocol 0 to 5 (Python's Lib/pickletools.py has the opcodes). Nothing is ever called by its name: a
 * global is either one of `globals`, whose meaning is fixed there, or refused. Long strings are left in the file, and their places are kept.
 *
 * @throws VggError `VGG_INTEGRITY` if it is cut, corrupt, past a limit or asks to run something; `VGG_FORMAT` if it holds Python objects
 * that are no tensors; `VGG_ABORTED`
 */
export async function unpickle(source: Source, offset: number, options: UnpickleOptions = {}): Promise<Unpickled> {
  const window = new Window(source, offset);
  const machine = new Machine(window, options);
  for (;;) {
    if (!window.isReady) await window.fill(options);
    if (!machine.step()) return { value: machine.pop(), end: window.position };
  }
}

class Machine implements Call {
  readonly #window: Window;
  readonly #options: UnpickleOptions;
  readonly #stack: Value[] = [];
  /** Heights of the stack at the marks. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Value>();
  #steps = 0;
  #objects = 0;

  constructor(window: Window, options: UnpickleOptions) {
    this.#window = window;
    this.#options = options;
  }

  get who(): string {
    return this.#window.who;
  }

  charge(items: number): void {
    this.#steps += items;
    if (this.#steps > MAX_STEPS) throw this.#past(MAX_STEPS, 'steps');
  }

  /** Takes one opcode; false once it is the last. */
  step(): boolean {
    this.charge(1);
    const window = this.#window;
    const opcode = window.uint8();
    const value = literal(opcode, window);
    if (value !== undefined) this.#push(value);
    else if (opcode === 0x2e)
      return false; // . STOP
    else if (!this.#stackOperation(opcode) && !this.#container(opcode) && !this.#object(opcode)) throw this.#unknown(opcode);
    return true;
  }

  pop(): Value {
    const floor = this.#marks.at(-1) ?? 0;
    if (this.#stack.length <= floor) throw corrupt(this.who, 'its stack is empty where it takes a value');
    return this.#stack.pop()!;
  }

  #stackOperation(opcode: number): boolean {
    const window = this.#window;
    switch (opcode) {
      case 0x80: // PROTO
        if (window.uint8() > 5) throw new VggError('VGG_FORMAT', `${this.who}: expected a pickle of protocol 0 to 5, received a later one`);
        return true;
      case 0x95: // FRAME: how much a reader could take at once
        window.expect(window.uint64());
        return true;
      case 0x28: // ( MARK
        if (this.#marks.length >= MAX_MARKS) throw this.#past(MAX_MARKS, 'levels');
        this.#marks.push(this.#stack.length);
        return true;
      case 0x30: // 0 POP, which takes a mark where that is on top
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.pop();
        return true;
      case 0x31: // 1 POP_MARK
        this.#toMark();
        return true;
      case 0x32: // 2 DUP
        this.#push(this.#top());
        return true;
      case 0x70: // p PUT
        this.#remember(Number(latin1(window.line())));
        return true;
      case 0x71: // q BINPUT
        this.#remember(window.uint8());
        return true;
      case 0x72: // r LONG_BINPUT
        this.#remember(window.uint32());
        return true;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        return true;
      case 0x67: // g GET
        this.#recall(Number(latin1(window.line())));
        return true;
      case 0x68: // h BINGET
        this.#recall(window.uint8());
        return true;
      case 0x6a: // j LONG_BINGET
        this.#recall(window.uint32());
        return true;
      default:
        return false;
    }
  }

  #container(opcode: number): boolean {
    switch (opcode) {
      case 0x5d: // ] EMPTY_LIST
      case 0x29: // ) EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        this.#create([]);
        return true;
      case 0x6c: // l LIST
      case 0x74: // t TUPLE
      case 0x91: // FROZENSET
        this.#create(this.#toMark());
        return true;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        const items = Array.from({ length: opcode - 0x84 }, () => this.pop());
        this.#create(items.reverse());
        return true;
      }
      case 0x61: {
        // a APPEND
        const item = this.pop();
        this.#list().push(item);
        return true;
      }
      case 0x65: // e APPENDS
      case 0x90: {
        // ADDITEMS
        const items = this.#toMark();
        const list = this.#list();
        for (const item of items) list.push(item);
        return true;
      }
      case 0x7d: // } EMPTY_DICT
        this.#create(new Dict());
        return true;
      case 0x64: {
        // d DICT
        const dict = new Dict();
        this.#setItems(dict, this.#toMark());
        this.#create(dict);
        return true;
      }
      case 0x73: {
        // s SETITEM
        const value = this.pop();
        const key = this.pop();
        this.#dict().set(key, value);
        return true;
      }
      case 0x75: {
        // u SETITEMS
        const items = this.#toMark();
        this.#setItems(this.#dict(), items);
        return true;
      }
      default:
        return false;
    }
  }

  #object(opcode: number): boolean {
    const window = this.#window;
    switch (opcode) {
      case 0x63: // c GLOBAL
        this.#create(this.#global(latin1(window.line()), latin1(window.line())));
        return true;
      case 0x93: {
        // STACK_GLOBAL
        const name = textOf(this.pop());
        const module = textOf(this.pop());
        if (name === undefined || module === undefined) throw corrupt(this.who, 'a global in it has no name');
        this.#create(this.#global(module, name));
        return true;
      }
      case 0x52: // R REDUCE
      case 0x81: {
        // NEWOBJ
        const args = this.pop();
        this.#call(this.pop(), args);
        return true;
      }
      case 0x92: {
        // NEWOBJ_EX
        const named = this.pop();
        const args = this.pop();
        if (!(named instanceof Dict) || named.entries.size > 0) throw corrupt(this.who, 'a call in it has arguments by name');
        this.#call(this.pop(), args);
        return true;
      }
      case 0x6f: {
        // o OBJ
        const [callee, ...args] = this.#toMark();
        this.#call(callee, args);
        return true;
      }
      case 0x69: {
        // i INST
        const callee = this.#global(latin1(window.line()), latin1(window.line()));
        this.#call(callee, this.#toMark());
        return true;
      }
      case 0x62: {
        // b BUILD
        const state = this.pop();
        const object = this.#top();
        if (!(object instanceof Instance)) throw corrupt(this.who, `it gives a state to ${describeValue(object)}`);
        object.build(state, this);
        return true;
      }
      case 0x51: // Q BINPERSID
        this.#persistent(this.pop());
        return true;
      case 0x50: // P PERSID
        this.#persistent(latin1(window.line()));
        return true;
      case 0x82: // EXT1
      case 0x83: // EXT2
      case 0x84: // EXT4
        throw new VggError('VGG_FORMAT', `${this.who}: expected names of objects, received a number of Python's extension registry`);
      case 0x97: // NEXT_BUFFER
      case 0x98: // READONLY_BUFFER
        throw new VggError('VGG_FORMAT', `${this.who}: expected a pickle of one piece, received one whose buffers are elsewhere`);
      default:
        return false;
    }
  }

  #push(value: Value): void {
    if (this.#stack.length >= MAX_STACK) throw this.#past(MAX_STACK, 'values on the stack');
    this.#stack.push(value);
  }

  #create(value: Value): void {
    if (++this.#objects > MAX_OBJECTS) throw this.#past(MAX_OBJECTS, 'objects');
    this.#push(value);
  }

  #top(): Value {
    const value = this.pop();
    this.#stack.push(value);
    return value;
  }

  #toMark(): Value[] {
    const height = this.#marks.pop();
    if (height === undefined) throw corrupt(this.who, 'it goes back to a mark that it has not set');
    return this.#stack.splice(height);
  }

  #remember(place: number): void {
    if (!isWhole(place)) throw corrupt(this.who, 'a place of its memory is no number');
    this.#memo.set(place, this.#top());
  }

  #recall(place: number): void {
    const value = this.#memo.get(place);
    if (value === undefined) throw corrupt(this.who, `it takes value ${place} of its memory, which it has not put there`);
    this.#push(value);
  }

  #list(): Value[] {
    const list = this.#top();
    if (!Array.isArray(list)) throw corrupt(this.who, `it adds an item to ${describeValue(list)}`);
    return list;
  }

  #dict(): Dict {
    const dict = this.#top();
    if (!(dict instanceof Dict)) throw corrupt(this.who, `it sets a key of ${describeValue(dict)}`);
    return dict;
  }

  #setItems(dict: Dict, items: readonly Value[]): void {
    if (items.length % 2 > 0) throw corrupt(this.who, 'a key in it has no value');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i]!, items[i + 1]!);
  }

  #global(module: string, attribute: string): Global {
    const name = `${module}.${attribute}`;
    const make = this.#options.globals?.(name);
    if (!make) throw refusedGlobal(name, module, this.who);
    return { kind: 'global', name, make };
  }

  #call(callee: Value | undefined, args: Value): void {
    if (!isGlobal(callee)) throw corrupt(this.who, `it calls ${describeValue(callee)}`);
    if (!Array.isArray(args)) throw corrupt(this.who, `it calls ${callee.name} with ${describeValue(args)} as its arguments`);
    this.#create(callee.make(args, this));
  }

  #persistent(id: Value): void {
    const { persistent } = this.#options;
    if (!persistent) {
      throw new VggError(
        'VGG_FORMAT',
        `${this.who}: expected a pickle of one piece, received one that names parts elsewhere (${describeValue(id)})`,
      );
    }
    this.#create(persistent(id));
  }

  #past(limit: number, what: string): VggError {
    return pastLimit(this.who, `a pickle of at most ${limit} ${what}`, 'one of more; it is no weight file');
  }

  #unknown(opcode: number): VggError {
    return corrupt(this.who, `byte ${this.#window.position - 1} is 0x${opcode.toString(16)}, which is no opcode`);
  }
}
