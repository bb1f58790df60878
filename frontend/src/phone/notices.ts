// SPDX-License-Identifier: Apache-2.0
// How does one hear of a call while looking elsewhere? The system's notifications, taken back when it is over.

export class Notices {
  #shown = new Map<string, Notification>();

  async allow(): Promise<void> {
    if ("Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  }

  call(id: string, name: string, number: string): void {
    this.#show(id, `${name} calls`, number === name ? "" : number, true);
  }

  message(name: string, text: string): void {
    this.#show(`message-${name}`, name, text.slice(0, 120), false);
  }

  leave(id: string): void {
    this.#shown.get(id)?.close();
    this.#shown.delete(id);
  }

  #show(id: string, title: string, body: string, isUrgent: boolean): void {
    if (!("Notification" in window) || Notification.permission !== "granted" || document.hasFocus()) return;
    try {
      const notice = new Notification(title, {
        body,
        tag: id,
        icon: "/phone-192.png",
        requireInteraction: isUrgent,
        silent: isUrgent, // the phone rings itself
      });
      notice.onclick = () => {
        window.focus();
        notice.close();
      };
      this.#shown.set(id, notice);
    } catch {
      // Chrome on Android wants a service worker for this; that one shows it
      void navigator.serviceWorker?.ready.then((worker) => worker.showNotification(title, { body, tag: id }));
    }
  }
}
