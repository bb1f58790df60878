// SPDX-License-Identifier: Apache-2.0
// What do the server's answers hold? The names of the OpenAPI document, made short; and what it does not name.
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Office = Schemas["Office"];
export type User = Schemas["User"];
export type Users = Schemas["Users"];
export type Account = Schemas["Account"];
export type AddedUser = Schemas["AddedUser"];
export type AddedUsers = Schemas["AddedUsers"];
export type Device = Schemas["Device"];
export type Devices = Schemas["Devices"];
export type AddedDevice = Schemas["AddedDevice"];
export type Invitation = Schemas["Invitation"];
export type InvitedPerson = Schemas["InvitedPerson"];
export type Registration = Schemas["Registration"];
export type Registrations = Schemas["Registrations"];
export type Call = Schemas["Call"];
export type Calls = Schemas["Calls"];
export type Leg = Schemas["Leg"];
export type Decision = Schemas["Decision"];
export type Verdict = Schemas["Verdict"];
export type Records = Schemas["Records"];
export type CallTrace = Schemas["CallTrace"];
export type CallNote = Schemas["CallNote"];
export type TraceMessage = Schemas["TraceMessage"];
export type Picture = Schemas["Picture"];
export type Column = Schemas["Column"];
export type Arrow = Schemas["Arrow"];
export type Lane = Schemas["Lane"];
export type GuestPage = Schemas["GuestPage"];
export type GuestPages = Schemas["GuestPages"];
export type Setting = Schemas["Setting"];
export type SettingsPage = Schemas["SettingsPage"];
export type SettingsChanged = Schemas["SettingsChanged"];
export type SystemState = Schemas["SystemState"];
export type Token = Schemas["Token"];
export type Tokens = Schemas["Tokens"];
export type AddedToken = Schemas["AddedToken"];
export type Webhook = Schemas["Webhook"];
export type Webhooks = Schemas["Webhooks"];
export type AddedWebhook = Schemas["AddedWebhook"];
export type Deliveries = Schemas["Deliveries"];
export type AuditEntry = Schemas["AuditEntry"];
export type AuditLog = Schemas["AuditLog"];

export type SessionBody = Schemas["SessionShape"];
export type Person = Schemas["PersonShape"];
export type Me = Schemas["MeShape"];
export type RecoveryCodes = Schemas["RecoveryCodesShape"];
export type Totp = Schemas["TotpShape"];
export type SetUpLink = Schemas["SetUpShape"];
export type TraceStatus = Schemas["TraceStatus"];
export type History = Schemas["History"];
export type Contacts = Schemas["Contacts"];

export type Role = "person" | "operator" | "admin" | "owner";
