// SPDX-License-Identifier: Apache-2.0
// Is the phone open in another tab? Two of them would ring twice and change each other's password.

const LOCK = "ringback-phone";

export class OneTab {
  isOurs = $state(false);
  isElsewhere = $state(false);
  /** Another tab took the phone over. */
  onlost: () => void = () => {};

  /** With `steal` from whichever tab has it. */
  take(steal: boolean): Promise<void> {
    if (!navigator.locks) {
      this.isOurs = true; // only encrypted pages have locks
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      navigator.locks
        .request(LOCK, steal ? { steal } : { ifAvailable: true }, (lock) => {
          this.isOurs = lock !== null;
          this.isElsewhere = lock === null;
          resolve();
          return lock ? new Promise<void>(() => {}) : undefined; // kept until the tab is closed
        })
        .catch(() => {
          this.isOurs = false;
          this.isElsewhere = true;
          this.onlost();
        });
    });
  }
}
