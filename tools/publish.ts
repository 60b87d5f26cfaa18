/** `make publish REGISTRY=…`: gives the images that `make images` built to a registry. */
import { run } from "./cluster/commands.ts";
import { Problem, main } from "./environment.ts";
import { dockerAnswers } from "./images/builder.ts";
import { chosenParts, chosenRegistry, chosenTag, imageName } from "./images/parts.ts";

const pushTimeoutMs = 20 * 60_000;

await main(async () => {
  const { PARTS, TAG, REGISTRY } = process.env;
  const registry = chosenRegistry(REGISTRY);
  const [parts, tag] = [chosenParts(PARTS), chosenTag(TAG)];
  if (!(await dockerAnswers()))
    throw new Problem(
      "Images are published by docker, and no daemon of it answers: start Docker Desktop or the service.",
    );
  for (const part of parts) {
    const image = imageName(part, tag);
    await run("docker", ["image", "inspect", image]).catch(() => {
      throw new Problem(`docker has no image ${image}: make images TAG=${tag}, and publish then.`);
    });
  }
  for (const part of parts) {
    const published = imageName(part, tag, registry);
    await run("docker", ["tag", imageName(part, tag), published]);
    await run("docker", ["push", published], { timeoutMs: pushTimeoutMs }).catch((error: Error) => {
      throw new Problem(`${published} was not published, which may need docker login: ${error.message}`);
    });
    console.log(`  ${published}`);
  }
  console.log(
    `Published. Install with: helm install crowdcrunch . --set image.registry=${registry} --set image.tag=${tag}`,
  );
});
