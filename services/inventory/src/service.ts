import { defineService } from "@crowdcrunch/kit/service";
import { pollingWorker } from "@crowdcrunch/kit/worker";
import Type from "typebox";
import { readStarterCatalogue } from "./adapters/starter-catalogue.ts";
import { createCommands, republish } from "./commands.ts";
import { createEventCommands } from "./commands-events.ts";
import { createImports } from "./commands-import.ts";
import { createSearch } from "./commands-search.ts";
import { loadStarterCatalogue } from "./commands-seed.ts";
import { createStockCommands } from "./commands-stock.ts";
import { createConsumers } from "./consumers.ts";
import { createResolvers } from "./resolvers.ts";
import { serveMedia } from "./routes.ts";
import { createLists } from "./store-lists.ts";

const catalogueFolder = new URL("../catalogue/", import.meta.url);
const hourMs = 3_600_000;

export const inventory = defineService({
  name: "inventory",
  root: new URL("../", import.meta.url),
  config: Type.Object({
    STARTER_CATALOGUE: Type.Boolean({
      default: false,
      description: "true loads the starter catalogue into a shop without products: true or false",
    }),
  }),
  wire({ config, db, log, newId }) {
    async function seed(): Promise<void> {
      const catalogue = await readStarterCatalogue(catalogueFolder);
      if (await loadStarterCatalogue({ db, newId }, catalogue))
        log.info({ products: catalogue.products.length }, "the starter catalogue is loaded");
    }
    return {
      resolvers: createResolvers({
        commands: createCommands({ db, newId }),
        stock: createStockCommands({ db, newId }),
        imports: createImports({ db, newId }),
        search: createSearch(db),
        lists: createLists(db),
      }),
      handlers: createConsumers(createEventCommands({ newId })),
      workers: config.STARTER_CATALOGUE
        ? [pollingWorker({ name: "starter catalogue", intervalMs: hourMs, log, round: seed })]
        : [],
      routes: (app) => serveMedia(app, new URL("pictures/", catalogueFolder)),
      republish,
    };
  },
});
