// Bodies of POST /v1/videos: prompts as OpenAI's clients send them, scripts as JSON, and what is wrong with others.
#include "moga/serve/request.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/data/script_json.h"
#include "moga/data/video/image.h"
#include "moga/serve/api_error.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

RequestRules rules() {
  RequestRules rules;
  rules.model = "demo";
  rules.size = {224, 128};
  rules.most_tokens = 100'000;
  return rules;
}

Script script_of(const std::string& body) { return read_request(body, rules()).script; }
std::string error_of(const std::string& body) {
  return test::error_of([&] { script_of(body); });
}

std::string base64(const std::string& bytes) {
  constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kLetters[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

TEST(Request, APromptIsAShot) {
  const VideoJobRequest request = read_request(
      R"({"prompt": "A lake.", "model": "demo", "seconds": "2", "size": "64x48", "seed": 7, "fps": 8,
          "negative_prompt": "blur", "num_inference_steps": 3, "guidance_scale": 4.5})",
      rules());
  const Script& script = request.script;
  EXPECT_EQ(script.shot.size(), 1);
  EXPECT_EQ(script.shot[0].caption, "A lake.");
  EXPECT_EQ(script.shot[0].duration, 2.0);
  EXPECT_EQ(script.size, (std::vector<int64_t>{64, 48}));
  EXPECT_EQ(script.seed, 7);
  EXPECT_EQ(script.negative_prompt, "blur");
  EXPECT_EQ(script.set, (std::vector<std::string>{"sampler.steps=3", "sampler.guidance=4.5"}));
  EXPECT_EQ(request.frames, 17);
}

TEST(Request, WhatAPromptDoesNotSay) {
  const Script script = script_of(R"({"prompt": "A lake."})");
  EXPECT_EQ(script.shot[0].duration, 4.0);
  EXPECT_EQ(script.size, rules().size);
  EXPECT_EQ(script_of(R"({"prompt": "A lake.", "num_frames": 9})").shot[0].frames, 9);
}

TEST(Request, AScriptHasTheKeysOfItsFile) {
  const VideoJobRequest request = read_request(
      R"({"title": "T", "size": [64, 48], "fps": 16, "global_caption": "Soft light.", "negative": "wan",
          "set": ["sampler.steps=3"], "shot": [{"caption": "One.", "frames": 9}, {"caption": "Two.", "duration": 0.5}]})",
      rules());
  EXPECT_EQ(request.script.shot[1].caption, "Two.");
  EXPECT_EQ(request.script.negative, Negative::kWan);
  EXPECT_EQ(request.frames, 17);
  const Script again = parse_script_json(script_json(request.script), "again");
  EXPECT_EQ(script_json(again), script_json(request.script));
}

TEST(Request, NamesWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"prompt\": ", "request: "},
      {"[]", "request: "},
      {"{}", "has neither prompt nor shot"},
      {R"({"prompt": "a", "shot": []})", "has both prompt and shot"},
      {R"({"prompt": "a", "promt": "b"})", "request: unknown key 'promt'; did you mean 'prompt'?"},
      {R"({"prompt": "a", "prompt": "b"})", "prompt"},
      {R"({"prompt": 5})", "request: prompt: expected a string, found the whole number 5"},
      {R"({"prompt": " "})", "shot 1: the caption is empty"},
      {R"({"prompt": "a", "model": "sora-2"})", "model is \"sora-2\", this server has \"demo\""},
      {R"({"prompt": "a", "seconds": "soon"})", "request: seconds: expected a number, found the string 'soon'"},
      {R"({"prompt": "a", "seconds": 1e300})", "duration is 1e+300"},
      {R"({"prompt": "a", "seconds": 1, "num_frames": 5})", "has both seconds and num_frames"},
      {R"({"prompt": "a", "size": "64"})", "size is \"64\", expected width x height"},
      {R"({"prompt": "a", "size": "64x48x2"})", "expected width x height"},
      {R"({"prompt": "a", "size": "50x48"})", "size is [50, 48], expected multiples of 16"},
      {R"({"shot": [{"caption": "a", "frames": 5, "secs": 2}]})", "request: unknown key 'secs' in [shot[0]]"},
      {R"({"shot": [{"caption": "a"}]})", "shot 1: has no length"},
      {R"({"shot": [], "title": "T"})", "the script has no shot"},
      {R"({"shot": {"caption": "a"}})", "request: shot: expected a list"},
      {R"({"prompt": "a", "size": "16384x16384", "num_frames": 10000000})",
       "latent tokens, this server generates up to 100000"}};
  for (const auto& [body, expected] : cases)
    EXPECT_NE(error_of(body).find(expected), std::string::npos) << body << "\n" << error_of(body);
  EXPECT_NE(error_of(R"({"prompt": ")" + std::string(40'000, 'a') + "\"}").find("a caption has 40000 bytes"),
            std::string::npos);
}

TEST(Request, PicturesComeWithIt) {
  const test::Folder folder;
  save_png(folder / "a.png", at::full({3, 8, 8}, 9, at::kByte));
  const std::string bytes = read_text(folder / "a.png"), url = "data:image/png;base64," + base64(bytes);
  const VideoJobRequest request =
      read_request(nlohmann::json{{"prompt", "a"}, {"input_reference", {{"image_url", url}}}}.dump(), rules());
  ASSERT_EQ(request.pictures.size(), 1);
  EXPECT_EQ(request.pictures.begin()->second, bytes);
  EXPECT_EQ(request.script.shot[0].image, request.pictures.begin()->first);
  const std::string half = "data:image/png;base64," + base64(bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(error_of(nlohmann::json{{"prompt", "a"}, {"input_reference", half}}.dump()).find("image-1: "),
            std::string::npos);
  for (const char* path : {"/etc/passwd", "../a.png", "file:///etc/passwd", "http://169.254.169.254/"})
    EXPECT_NE(error_of(nlohmann::json{{"shot", {{{"caption", "a"}, {"frames", 5}, {"last_image", path}}}}}.dump())
                  .find("expected a data URL"),
              std::string::npos)
        << path;
}

TEST(Request, TheModelHasTheLastWord) {
  RequestRules strict = rules();
  strict.check = [](const Script& script) { check(script.seed == 0, "no seeds here"); };
  EXPECT_EQ(test::error_of([&] { read_request(R"({"prompt": "a", "seed": 1})", strict); }), "no seeds here");
}

}  // namespace
}  // namespace moga
