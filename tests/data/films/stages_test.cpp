// The stages between films and samples: what is kept on a second run, and how shots become whole latent frames.
#include "moga/data/films/stages.h"

#include <gtest/gtest.h>

#include <numeric>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/data/films/buckets.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

TEST(Manifest, ContinuesAfterAKillAndKeepsEdits) {
  const test::Folder folder;
  int made = 0;
  const auto run = [&](const std::string& settings, int until) {
    Manifest manifest(folder.path(), "cut", settings);
    for (int i = 0; i < until; ++i)
      manifest.group(std::to_string(i), [&] { return ++made, std::vector<Record>{{{"film", i}}}; });
    if (until == 3) manifest.finish();
  };
  run("a", 2);  // killed
  write_text(folder / "cut.jsonl.partial", read_text(folder / "cut.jsonl.partial") + "{\"from\": \"00");
  run("a", 3);
  EXPECT_EQ(made, 3);
  const std::string whole = read_text(folder / "cut.jsonl");
  std::string edited = whole;
  edited.insert(edited.find('}'), ",\"dropped\":\"ugly\"");
  write_text(folder / "cut.jsonl", edited);
  run("a", 3);
  EXPECT_EQ(made, 3);
  EXPECT_EQ(read_text(folder / "cut.jsonl"), edited);
  run("b", 3);  // other settings: made again, the edited lines are kept aside
  EXPECT_EQ(made, 6);
  EXPECT_EQ(read_text(folder / "cut.old.jsonl"), edited);
  EXPECT_FALSE(std::filesystem::exists(folder / "cut.jsonl.partial"));
}

TEST(Manifest, NamesTheLineThatIsNotJson) {
  const test::Folder folder;
  write_text(folder / "probe.jsonl", "{\"film\": 0}\n{oops\n");
  EXPECT_NE(test::error_of([&] { read_records(folder / "probe.jsonl"); }).find("probe.jsonl:2: not a line of JSON"),
            std::string::npos);
}

Record film(double fps = 23.976) {
  return {{"film", 0},      {"path", "a.mp4"}, {"captions", {"A boat."}}, {"width", 1920},
          {"height", 1080}, {"fps", fps},      {"seconds", 60},           {"interlaced", false}};
}

Record shot(int64_t number, double start, double end) {
  return {{"film", 0}, {"shot", number}, {"start", start}, {"end", end}};
}

std::vector<Record> merged(const std::vector<Record>& shots, MergeConfig merge = {}, const Record& of = film()) {
  const test::Folder folder;
  FilmsConfig config;
  config.out = folder.path().string();
  config.merge = merge;
  return merge_films(config, {of}, shots);
}

TEST(Merge, AlignsCutsToLatentFrames) {
  // 35, 50 and 41 frames at 16 fps: 1 + 8·4 are used of the first, 12·4 and 10·4 of the others.
  const auto samples = merged({shot(0, 0, 35.0 / 16), shot(1, 3, 3 + 50.0 / 16), shot(2, 7, 7 + 41.0 / 16)});
  ASSERT_EQ(samples.size(), 1u);
  const Record& sample = samples[0];
  EXPECT_FALSE(is_dropped(sample)) << sample.dump();
  EXPECT_EQ(sample.at("latent_frames"), 9 + 12 + 10);
  EXPECT_EQ(sample.at("shots").at(0).at("frames"), 33);
  EXPECT_EQ(sample.at("shots").at(1).at("frames"), 48);
  EXPECT_EQ(sample.at("shots").at(2).at("latent_frames"), 10);
  EXPECT_EQ(sample.at("shots").at(2).at("caption"), "A boat.");
  EXPECT_EQ(sample.at("width"), 848);
  EXPECT_EQ(sample.at("height"), 480);
}

TEST(Merge, DividesLongShotsAndClosesFullSamples) {
  const auto samples = merged({shot(0, 0, 25), shot(1, 25, 31)}, {.max_seconds = 10});
  // Two samples of 40 latent frames, then the rest of 5 s; the next shot of 6 s does not fit behind it.
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0].at("latent_frames"), 40);
  EXPECT_DOUBLE_EQ(samples[1].at("shots").at(0).at("start").get<double>(), 157.0 / 16);
  EXPECT_EQ(samples[2].at("latent_frames"), (400 - 2 * 157 - 1) / 4 + 1);
  EXPECT_EQ(samples[3].at("latent_frames"), 24);
}

TEST(Merge, SaysWhyWithNumbers) {
  const auto reason = [](const std::vector<Record>& samples) { return samples.at(0).at("dropped").get<std::string>(); };
  EXPECT_EQ(reason(merged({shot(0, 0, 1.5)})), "6 of 8 latent frames after re-timing 23.976 → 16.000 fps");
  EXPECT_EQ(reason(merged({shot(0, 0, 0.5)})),
            "2 of 4 latent frames of a shot after re-timing 23.976 → 16.000 fps (merge.min_shot_seconds)");
  Record plain = film();
  plain["captions"] = Record::array();
  EXPECT_EQ(reason(merged({shot(0, 0, 5)}, {}, plain)), "no caption (merge.uncaptioned is false)");
  plain["captions"] = {"One.", "Two."};
  EXPECT_EQ(reason(merged({shot(0, 0, 5)}, {}, plain)), "2 captions for 1 shots, expected one, or one per shot");
  Record small = film();
  small["width"] = 320, small["height"] = 180;
  EXPECT_EQ(reason(merged({shot(0, 0, 5)}, {}, small)),
            "320x180 would be enlarged 2.67 times to 848x480, at most 1.00 (merge.max_upscale)");
}

TEST(Buckets, KeepTheAreaAndCutOffLeast) {
  const auto buckets = make_buckets({.area = 399360, .multiple = 16});
  for (const Bucket& bucket : buckets) {
    EXPECT_EQ(bucket.width % 16 + bucket.height % 16, 0);
    EXPECT_NEAR(static_cast<double>(bucket.width * bucket.height), 399360, 0.04 * 399360) << bucket.aspect;
  }
  EXPECT_EQ(fit_bucket(buckets, 1080, 1920).bucket.aspect, "9:16");
  const BucketFit square = fit_bucket(buckets, 700, 690);
  EXPECT_EQ(square.bucket.aspect, "1:1");
  EXPECT_EQ(square.crop.height, 690);
  EXPECT_EQ(square.crop.x, (700 - square.crop.width) / 2);
}

}  // namespace
}  // namespace moga
