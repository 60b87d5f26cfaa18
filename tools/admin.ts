/**
 * Makes an account an administrator: EMAIL=… of somebody who has signed up. The database is the shop's of this
 * checkout, or DATABASE_URL as the role `users`.
 */
import { openDatabase } from "@crowdcrunch/kit/database";
import { createLogger } from "@crowdcrunch/kit/logger";
import { createMetrics } from "@crowdcrunch/kit/metrics";
import { createRoles } from "@crowdcrunch/users/first-admin";
import { v7 as uuidv7 } from "uuid";
import { Problem, main, shopPlace } from "./environment.ts";
import { shopAddresses } from "./processes.ts";

await main(async () => {
  const { EMAIL: email, DATABASE_URL: databaseUrl } = process.env;
  if (!email) throw new Problem("Say whose account it is: make admin EMAIL=ada@example.com");
  const url = databaseUrl || (await shopAddresses(shopPlace())).databaseUrl("users");
  const log = createLogger({ service: "admin", level: "warn" });
  const metrics = createMetrics({ service: "admin", processMetrics: false });
  const db = openDatabase({ url, connections: 2, applicationName: "admin", newId: uuidv7, log, metrics });
  try {
    const user = await createRoles({ db }).grantAdmin(email);
    if (!user)
      throw new Problem(`There is no account with the address ${email}: sign up with it first, then try again.`);
    console.log(
      `${user.email} is an administrator; the storefront notices within ten minutes, or at the next sign-in.`,
    );
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ECONNREFUSED") throw new Problem("The shop's database does not answer: start the shop with make up.");
    if ((error as { typename?: string }).typename === "InvalidInput")
      throw new Problem(`${email}: ${(error as Error).message}`);
    throw error;
  } finally {
    await db.close();
  }
});
