// @ts-check
/** JSON-RPC over a WebSocket: requests, notifications, and what the other end asks. Knows no method's meaning. */

export class Connection {
  #socket;
  #lastId = 0;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();

  /**
   * @param {WebSocket} socket that is open
   * @param {(method: string, params: any) => void} onNotification
   * @param {() => void} onEnd
   */
  constructor(socket, onNotification, onEnd) {
    this.#socket = socket;
    socket.onmessage = (event) => this.#receive(JSON.parse(event.data), onNotification);
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the server is gone"));
      this.#waiting.clear();
      onEnd();
    };
  }

  /**
   * @param {string} url
   * @param {(method: string, params: any) => void} onNotification
   * @param {() => void} onEnd
   * @returns {Promise<Connection>}
   */
  static open(url, onNotification, onEnd) {
    const socket = new WebSocket(url);
    return new Promise((resolve, reject) => {
      socket.onopen = () => resolve(new Connection(socket, onNotification, onEnd));
      socket.onerror = () => reject(new Error("the server cannot be reached"));
    });
  }

  /**
   * @param {string} method
   * @param {unknown} params
   * @param {{ onCancellationRequested: (listener: () => void) => unknown }} [cancellation]
   * @returns {Promise<any>}
   */
  request(method, params, cancellation) {
    const id = ++this.#lastId;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#send({ id, method, params });
    cancellation?.onCancellationRequested(() => this.#waiting.has(id) && this.notify("$/cancelRequest", { id }));
    return answer;
  }

  /** @param {string} method @param {unknown} params */
  notify(method, params) {
    this.#send({ method, params });
  }

  close() {
    this.#socket.onclose = null;
    this.#socket.close();
  }

  /** @param {object} message */
  #send(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  /** @param {any} message @param {(method: string, params: any) => void} onNotification */
  #receive(message, onNotification) {
    if (message.method !== undefined && message.id !== undefined) {
      this.#send({ id: message.id, result: null }); // progress tokens: there is nothing to refuse
    } else if (message.method !== undefined) {
      onNotification(message.method, message.params);
    } else {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error) waiting?.reject(new Error(message.error.message));
      else waiting?.resolve(message.result);
    }
  }
}
