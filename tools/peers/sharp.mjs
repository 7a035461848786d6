// sharp beside reticulum.
//   node sharp.mjs make FILE WIDTH HEIGHT|0 EXTENSION COUNT [OUT]   as vips.c
//   node sharp.mjs photo FILE WIDTH HEIGHT KIND OUT                  a photo to measure with
import { createRequire } from "node:module";
import fs from "node:fs";
const sharp = createRequire(process.env.SHARP_HOME + "/")("sharp");
sharp.concurrency(1);
sharp.cache(false);
const [what, file, width, height, kind, last, out] = process.argv.slice(2);
if (what === "photo") {
  const image = sharp(file).rotate().removeAlpha().resize(+width, +height, { fit: "cover" });
  const format = {
    baseline: () => image.jpeg({ quality: 90 }),
    progressive: () => image.jpeg({ quality: 90, progressive: true }),
    png: () => image.png({ compressionLevel: 6 }),
    webp: () => image.webp({ quality: 85 }),
  }[kind];
  await format().toFile(last);
} else {
  const make = () => {
    const image = sharp(file).resize(+height ? { width: +width, height: +height } : { width: +width });
    return (kind === "jpg" ? image.jpeg() : kind === "png" ? image.png() : image.webp()).toBuffer();
  };
  const bytes = await make();
  if (out) fs.writeFileSync(out, bytes);
  const before = process.cpuUsage();
  for (let i = 0; i < +last; i++) await make();
  const used = process.cpuUsage(before);
  const peak = /VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1];
  const us = Math.round((used.user + used.system) / +last);
  console.log(JSON.stringify({ us, bytes: bytes.length, peak_kib: +peak }));
}
