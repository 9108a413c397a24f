/** Owns the listeners of events, by the events' names. */

/** Base class of what has an `on` method. `Events` maps each event's name to its detail. */
export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(detail: never) => void>>();

  /** Calls `listener` for each event of this name; returns a function that removes the listener. */
  on<K extends keyof Events>(type: K, listener: (detail: Events[K]) => void): () => void {
    const all = this.listeners.get(type) ?? new Set();
    this.listeners.set(type, all.add(listener));
    return () => void all.delete(listener);
  }

  /** Calls every listener. An error that a listener throws is reported as uncaught, and the others are still called. */
  emit<K extends keyof Events>(type: K, detail: Events[K]): void {
    for (const listener of [...(this.listeners.get(type) ?? [])]) {
      try {
        (listener as (detail: Events[K]) => void)(detail);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
