/** `make down`: stops the shop and waits until it has ended. */
import { main, shopPlace } from "./environment.ts";
import { stopShop } from "./shop.ts";

await main(async () => console.log(await stopShop(shopPlace())));
