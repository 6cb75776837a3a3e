/**
 * A module that is evaluated after the first paint that does without it.
 * Uses asked for before it is there wait; later ones happen at once.
 */
export class Lazy<Module> {
  private module: Module | undefined;
  private waiting: ((module: Module) => void)[] = [];

  constructor(private readonly load: () => Promise<Module>) {}

  use(task: (module: Module) => void): void {
    if (this.module !== undefined) {
      task(this.module);
      return;
    }
    this.waiting.push(task);
    if (this.waiting.length === 1) setTimeout(() => this.start());
  }

  private async start(): Promise<void> {
    const module = await this.load();
    const { waiting } = this;
    this.module = module;
    this.waiting = [];
    for (const task of waiting) task(module);
  }
}
