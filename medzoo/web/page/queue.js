// A few jobs at a time; those that matter most come first.

export class Queue {
  #waiting = [];
  #running = 0;
  #limit;

  constructor(limit) {
    this.#limit = limit;
  }

  /** Run an async function in its turn, or as the next one. */
  add(job, next = false) {
    if (next) this.#waiting.unshift(job);
    else this.#waiting.push(job);
    this.#start();
  }

  clear() {
    this.#waiting = [];
  }

  #start() {
    while (this.#running < this.#limit && this.#waiting.length > 0) {
      const job = this.#waiting.shift();
      this.#running += 1;
      job().finally(() => {
        this.#running -= 1;
        this.#start();
      });
    }
  }
}
