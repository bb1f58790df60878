// SPDX-License-Identifier: Apache-2.0
// How does this browser make and use a passkey? WebAuthn level 3 speaks JSON; older browsers get a translation.

export const hasPasskeys = typeof window.PublicKeyCredential === "function";

/** Passkeys belong to a name; at a numeric address browsers refuse them. */
export const addressHasName = !/^(\d+\.\d+\.\d+\.\d+|\[.*\])$/.test(location.hostname);

type Options = Record<string, unknown>;

export async function make(options: Options): Promise<unknown> {
  const publicKey = creationOptions(options);
  const made = await navigator.credentials.create({ publicKey });
  return inJson(made as PublicKeyCredential);
}

export async function use(options: Options): Promise<unknown> {
  const publicKey = requestOptions(options);
  const used = await navigator.credentials.get({ publicKey });
  return inJson(used as PublicKeyCredential);
}

/** True when the person closed the browser's question: nothing to complain about. */
export function wasCancelled(reason: unknown): boolean {
  return reason instanceof DOMException && (reason.name === "NotAllowedError" || reason.name === "AbortError");
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer: ArrayBuffer | null | undefined): string | undefined {
  if (!buffer) return undefined;
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

type Listed = { id: string };
const unpacked = (list: unknown) => ((list as Listed[] | undefined) ?? []).map((entry) => ({ ...entry, id: bytes(entry.id) }));

function creationOptions(options: Options): PublicKeyCredentialCreationOptions {
  const user = options["user"] as Listed;
  return {
    ...options,
    challenge: bytes(options["challenge"] as string),
    user: { ...user, id: bytes(user.id) },
    excludeCredentials: unpacked(options["excludeCredentials"]),
  } as unknown as PublicKeyCredentialCreationOptions;
}

function requestOptions(options: Options): PublicKeyCredentialRequestOptions {
  return {
    ...options,
    challenge: bytes(options["challenge"] as string),
    allowCredentials: unpacked(options["allowCredentials"]),
  } as unknown as PublicKeyCredentialRequestOptions;
}

function inJson(credential: PublicKeyCredential): unknown {
  const response = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const parts = {
    clientDataJSON: text(response.clientDataJSON),
    attestationObject: text(response.attestationObject),
    authenticatorData: text(response.authenticatorData),
    signature: text(response.signature),
    userHandle: text(response.userHandle),
    transports: response.getTransports?.(),
  };
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)),
  };
}
