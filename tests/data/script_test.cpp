// Scripts are read completely, and errors name the line and what was expected.
#include "moga/data/script.h"

#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

const char* const kGood = R"(title = "Mara"
size = [224, 128]
fps = 16
seed = 7
global_caption = "A quiet film."
[[shot]]
caption = "Mara waves."
duration = 2.0
[[shot]]
caption = "Mara walks."
frames = 32
)";

Script read(const std::string& text) {
  test::Folder folder;
  write_text(folder / "a.toml", text);
  return load_script(folder / "a.toml");
}

// The message for kGood with `from` replaced by `to`.
std::string message_with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  text.replace(text.find(from), from.size(), to);
  return test::error_of([&] { read(text); });
}

TEST(Script, IsReadComplete) {
  const Script script = read(kGood);
  EXPECT_EQ(script.title, "Mara");
  EXPECT_EQ(script.size, (std::vector<int64_t>{224, 128}));
  EXPECT_EQ(script.seed, 7);
  EXPECT_EQ(script.captions(), (std::vector<std::string>{"A quiet film. Mara waves.", "A quiet film. Mara walks."}));
}

// kGood with more keys before its first table.
Script read_with(const std::string& keys) {
  std::string text = kGood;
  text.insert(text.find("[[shot]]"), keys);
  return read(text);
}

TEST(Script, KnownNegativePromptsHaveNames) {
  EXPECT_EQ(read(kGood).negative_text(), "");
  EXPECT_EQ(read_with("negative_prompt = 'wan'\n").negative_text(), "wan");
  const Script wan = read_with("negative = 'wan'\nnoise_from = 'diffusers'\n");
  EXPECT_EQ(wan.negative_text().size(), 403u);
  EXPECT_TRUE(wan.negative_text().starts_with("色调艳丽，过曝，") && wan.negative_text().ends_with("，倒着走"));
  EXPECT_EQ(wan.noise_from, NoiseSource::kDiffusers);
  EXPECT_NE(message_with("seed = 7", "negative = 'wan'\nnegative_prompt = 'blurred'").find("a.toml:4: "),
            std::string::npos);
  EXPECT_NE(message_with("seed = 7", "negative = 'van'").find("'van' is not one of none, wan"), std::string::npos);
}

TEST(Script, CutsFallOnTheNearestLatentFrame) {
  Script script;
  script.fps = 16;
  for (int i = 0; i < 4; ++i) script.shot.push_back({"x", 2.0, std::nullopt});
  EXPECT_EQ(script.latent_shot_frames(kWanPixelsPerToken), (std::vector<int64_t>{9, 8, 8, 8}));
  script.shot = {{"x", std::nullopt, 33}, {"x", std::nullopt, 32}, {"x", std::nullopt, 1}, {"x", std::nullopt, 1}};
  EXPECT_EQ(script.latent_shot_frames(kWanPixelsPerToken), (std::vector<int64_t>{9, 8, 1, 1}));
  script.shot = {{"x", std::nullopt, 1}};
  EXPECT_EQ(script.latent_shot_frames(kWanPixelsPerToken), (std::vector<int64_t>{1}));
}

TEST(Script, NamesImagesOfShots) {
  test::Folder folder;
  write_text(folder / "a.toml", std::string(kGood) + "image = \"lake.png\"\nlast_image = \"hill.jpg\"\n");
  const Script script = load_script(folder / "a.toml");
  EXPECT_EQ(script.folder, folder.path());
  EXPECT_FALSE(script.shot[0].image);
  EXPECT_EQ(script.shot[1].image, "lake.png");
  EXPECT_EQ(script.shot[1].last_image, "hill.jpg");
  EXPECT_NE(message_with("frames = 32", "frames = 32\nimage = \" \"").find("12: shot 2: image is empty; name a PNG"),
            std::string::npos);
}

TEST(Script, IsCheckedAgainstTheModelsStrides) {
  Script script = read(kGood);
  script.size = {24, 40};
  script.validate({.frames = 8, .rows = 8, .columns = 24});
  const auto refusal = [&](const Strides& strides) { return test::error_of([&] { script.validate(strides); }); };
  EXPECT_EQ(refusal({.frames = 8, .rows = 32, .columns = 8}),
            "size is [24, 40], expected multiples of 8 and 32 from 32 to 16384; the nearest to 40 is 32");
  EXPECT_EQ(script.latent_shot_frames({.frames = 8, .rows = 8, .columns = 8}), (std::vector<int64_t>{5, 4}));
}

TEST(Script, SaysWhenTheVideoHasOtherFramesThanAskedFor) {
  Script script;
  const auto note = [&](const std::vector<int64_t>& frames) {
    script.shot.clear();
    for (const int64_t count : frames) script.shot.push_back({"x", std::nullopt, count});
    return script.frame_note(kWanPixelsPerToken);
  };
  EXPECT_EQ(note({33, 32}), "");
  EXPECT_EQ(note({6}).find("the script asks for 6 frames, the video has 5: "), 0u) << note({6});
  EXPECT_EQ(note({7}).find("the script asks for 7 frames, the video has 9: "), 0u);
  EXPECT_EQ(note({2, 2, 2, 2, 2, 2}).find("the script asks for 12 frames, the video has 21 (1 + 4 + 4 + 4 + 4 + 4): "),
            0u);
}

TEST(Script, WrongValuesAreAnsweredWithLineAndRemedy) {
  const std::pair<std::pair<const char*, const char*>, const char*> cases[] = {
      {{"[224, 128]", "[224, 120]"},
       ":2: size is [224, 120], expected multiples of 16 from 16 to 16384; the nearest to 120 is 128"},
      {{"[224, 128]", "[224, 160000000000]"}, "the nearest to 160000000000 is 16384"},
      {{"fps = 16", "fps = 90000000000"}, ":3: fps is 90000000000, expected 1 to 1000"},
      {{"duration = 2.0", "duration = 1e300"}, ":8: shot 1: duration is 1e+300, expected seconds above 0 and up to"},
      {{"duration = 2.0", "duration = nan"}, ":8: shot 1: duration is nan"},
      {{"frames = 32", "frames = 9000000000000000000"}, ":11: shot 2: frames is 9000000000000000000, expected 1 to"},
      {{"[224, 128]", "[224]"}, ":2: size has 1 numbers, expected [width, height]"},
      {{"fps = 16", "fps = 0"}, ":3: fps is 0"},
      {{"\"Mara walks.\"", "\" \""}, ":10: shot 2: the caption is empty"},
      {{"frames = 32", "frames = 32\nduration = 1.0"}, ":11: shot 2: has both duration and frames"},
      {{"frames = 32", ""}, ":9: shot 2: has no length"},
      {{"duration = 2.0", "duration = -2.0"}, ":8: shot 1: duration is -2"},
      {{"frames = 32", "frames = 0"}, ":11: shot 2: frames is 0"}};
  for (const auto& [change, expected] : cases) {
    const std::string message = message_with(change.first, change.second);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Script, MisspeltKeysAndMissingShotsAreNamed) {
  EXPECT_NE(message_with("caption = \"Mara walks.\"", "captoin = \"Mara walks.\"").find("caption"), std::string::npos);
  const std::string message = test::error_of([] { read("title = \"empty\"\n"); });
  EXPECT_NE(message.find("the script has no shot; add [[shot]]"), std::string::npos) << message;
}

}  // namespace
}  // namespace moga
