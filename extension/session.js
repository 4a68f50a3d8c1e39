// @ts-check

/** Milliseconds after which a server that says nothing is given up. */
const TIMEOUT_MS = 25_000;

/** A sign-in that did not come about; `code` says why. */
export class SignInError extends Error {
  /** @param {"wrong_credentials" | "not_allowed" | "unreachable" | "wrong_address" | "server_trouble" | "overtaken"} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "SignInError";
    this.code = code;
  }
}

/**
 * Signs in at the server and lets it say who that is: the account is the id that the server verified, never the
 * typed address. The answer is for the core alone, which keeps the tokens.
 *
 * @param {string} serverUrl @param {string} email @param {string} password
 * @returns {Promise<{ account: string, accessToken: string, refreshToken?: string, expiresAt?: number }>}
 * @throws {SignInError}
 */
export async function signIn(serverUrl, email, password) {
  const login = await ask(`${serverUrl}/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email, password }),
  });
  const { AccessToken: accessToken, RefreshToken: refreshToken, ExpiresIn: seconds } = login.data ?? {};
  if (typeof accessToken !== "string") throw trouble();

  const me = await ask(`${serverUrl}/users/me`, { headers: { Authorization: `Bearer ${accessToken}` } });
  const account = me.data?.user?.id;
  if (account === undefined || account === null) throw trouble();

  const expiresAt = typeof seconds === "number" ? Date.now() + seconds * 1000 : undefined;
  return { account: String(account), accessToken, refreshToken, expiresAt };
}

/** @param {string} url @param {RequestInit} request @returns {Promise<any>} the body of a 200 */
async function ask(url, request) {
  let response;
  try {
    response = await fetch(url, {
      ...request,
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new SignInError("unreachable", "The server can't be reached.");
  }
  if (response.status === 401) throw new SignInError("wrong_credentials", "E-mail or password is wrong.");
  if (response.status === 403)
    throw new SignInError("not_allowed", "The server doesn't let this account in.");
  if (response.status === 404)
    throw new SignInError("wrong_address", "There is no sync server at this address.");
  if (response.status !== 200) throw trouble();
  return response.json().catch(() => {
    throw trouble();
  });
}

const trouble = () => new SignInError("server_trouble", "The server's answer can't be understood.");
