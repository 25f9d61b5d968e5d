// Structs from TOML and JSON and back; wrong keys and values are named with their line.
#include "moga/core/config.h"

#include <gtest/gtest.h>

#include "moga/core/check.h"
#include "moga/core/files.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

struct Shot {
  std::string caption;
  std::optional<double> duration;
  template <class Fields>
  void fields(Fields& field) {
    field("caption", caption, "what the shot shows");
    field("duration", duration, "seconds");
  }
};

struct Sampler {
  int64_t steps = 50;
  double shift = 5.0;
  void validate() const { check(steps > 0, "steps is ", steps, ", expected at least 1"); }
  template <class Fields>
  void fields(Fields& field) {
    field("steps", steps, "sampler steps");
    field("shift", shift, "timestep shift s");
  }
};

struct RunConfig {
  std::string title = "untitled";
  bool quick = false;
  std::vector<int64_t> size = {832, 480};
  std::vector<bool> flags;
  std::optional<std::string> note;
  Sampler sampler;
  std::optional<Sampler> preview;
  std::vector<Shot> shot;
  void validate() const { check(size.size() == 2, "size has ", size.size(), " numbers, expected 2"); }
  template <class Fields>
  void fields(Fields& field) {
    field("title", title, "name of the video");
    field("quick", quick);
    field("size", size, "width and height in pixels");
    field("flags", flags);
    field("note", note, "anything");
    field("sampler", sampler, "how to sample");
    field("preview", preview);
    field("shot", shot, "the shots, in order");
  }
};

std::string toml_error(const std::string& text) {
  return test::error_of([&] { parse_toml<RunConfig>(text, "run.toml"); });
}

std::string json_error(const std::string& text) {
  return test::error_of([&] { parse_json<RunConfig>(text, "run.json"); });
}

const char* kRun = R"(title = "a \"day\"\nout"
size = [128, 224]
flags = [true, false]
sampler.shift = 3  # a whole number serves
[preview]
steps = 4
[[shot]]
caption = "Anna, hat"
duration = 2.5
[[shot]]
caption = "Anna"
)";

void expect_run(const RunConfig& run) {
  EXPECT_EQ(run.title, "a \"day\"\nout");
  EXPECT_EQ(run.size, (std::vector<int64_t>{128, 224}));
  EXPECT_EQ(run.flags, (std::vector<bool>{true, false}));
  EXPECT_FALSE(run.note);
  EXPECT_EQ(run.sampler.steps, 50);
  EXPECT_EQ(run.sampler.shift, 3.0);
  EXPECT_EQ(run.preview.value().steps, 4);
  ASSERT_EQ(run.shot.size(), 2u);
  EXPECT_EQ(run.shot[0].duration, 2.5);
  EXPECT_EQ(run.shot[1].caption, "Anna");
}

TEST(Config, TomlIsReadOverTheDefaults) { expect_run(parse_toml<RunConfig>(kRun, "run.toml")); }

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  const RunConfig run = parse_toml<RunConfig>(kRun, "run.toml");
  expect_run(parse_toml<RunConfig>(to_toml(run), "written.toml"));
  expect_run(parse_json<RunConfig>(to_json(run), "written.json"));
  EXPECT_EQ(parse_toml<RunConfig>(to_toml(RunConfig()), "written.toml").preview.has_value(), false);
}

TEST(Config, WrittenTomlIsCompleteAndExplained) {
  const std::string text = to_toml(parse_toml<RunConfig>("sampler.shift = 0.1", "run.toml"));
  for (const char* line :
       {"title = \"untitled\"    # name of the video\n", "# note is not set     # anything\n",
        "size = [832, 480]     # width and height in pixels\n", "shot = []             # the shots",
        "\n[sampler]  # how to sample\n", "steps = 50   # sampler steps\n", "shift = 0.1  # timestep"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
}

TEST(Config, FilesAreNamedInMessages) {
  const test::Folder folder;
  write_text(folder / "run.toml", kRun);
  expect_run(load_toml<RunConfig>(folder / "run.toml"));
  write_text(folder / "run.json", to_json(load_toml<RunConfig>(folder / "run.toml")));
  expect_run(load_json<RunConfig>(folder / "run.json"));
  write_text(folder / "bad.toml", "size = 3");
  EXPECT_EQ(test::error_of([&] { load_toml<RunConfig>(folder / "bad.toml"); }),
            (folder / "bad.toml").string() + ":1: size: expected a list, found the whole number 3");
  EXPECT_EQ(test::error_of([&] { load_toml<RunConfig>(folder / "none.toml"); }),
            (folder / "none.toml").string() + ": cannot be opened: No such file or directory");
}

TEST(Config, UnknownKeysAreRefusedWithTheNearest) {
  EXPECT_EQ(toml_error("\n\n[sampler]\nstepz = 3"),
            "run.toml:4: unknown key 'stepz' in [sampler]; did you mean 'steps'?");
  EXPECT_EQ(toml_error("[[shot]]\ncaption = \"\"\n[[shot]]\ncaptoin = \"\""),
            "run.toml:4: unknown key 'captoin' in [shot[1]]; did you mean 'caption'?");
  EXPECT_EQ(toml_error("[sampler]\ngeneric = 3"),
            "run.toml:2: unknown key 'generic' in [sampler]; known keys: steps, shift");
  EXPECT_EQ(toml_error("titel = ''\nsampelr.steps = 3"), "run.toml:1: unknown key 'titel'; did you mean 'title'?");
  EXPECT_EQ(json_error(R"({"sampler": {"stepz": 3}})"),
            "run.json: unknown key 'stepz' in [sampler]; did you mean 'steps'?");
}

TEST(Config, ForeignKeysOfJsonCanBePassedOver) {
  EXPECT_EQ(json_error(R"({"_class_name": "Wan", "title": "x"})"), "");
  EXPECT_EQ(
      parse_json<RunConfig>(R"({"num_layers": 2, "sampler": {"steps": 3, "x": {}}})", "run.json", true).sampler.steps,
      3);
}

TEST(Config, WrongTypesAreRefused) {
  EXPECT_EQ(toml_error("[sampler]\nsteps = 2.5"),
            "run.toml:2: sampler.steps: expected a whole number, found the number 2.5");
  EXPECT_EQ(toml_error("size = [1, 'x']"), "run.toml:1: size[1]: expected a whole number, found the string 'x'");
  EXPECT_EQ(toml_error("quick = 1"), "run.toml:1: quick: expected true or false, found the whole number 1");
  EXPECT_EQ(toml_error("title = 1979-05-27"), "run.toml:1: title: expected a string, found a date or time");
  EXPECT_EQ(toml_error("sampler = 1"), "run.toml:1: sampler: expected a table, found the whole number 1");
  EXPECT_EQ(json_error(R"({"size": [null, 2]})"), "run.json: size[0]: expected a whole number, found null");
  EXPECT_EQ(
      json_error(R"({"sampler": {"steps": 18446744073709551615}})").find("run.json: sampler.steps: expected a whole"),
      0u);
}

TEST(Config, AMessageHasOneLineWhateverTheFileHas) {
  EXPECT_EQ(toml_error("size = [1, \"a\\nb\"]"),
            "run.toml:1: size[1]: expected a whole number, found the string 'a\\nb'");
  for (const char* text : {"\"a\\nb\" = 1", "quick = fals\nsize = [1]", "size = [\n1, \"\n"})
    EXPECT_EQ(toml_error(text).find('\n'), std::string::npos) << text;
  EXPECT_EQ(toml_error("quick = '" + std::string(1000, 'x') + "'"),
            "run.toml:1: quick: expected true or false, found the string '" + std::string(80, 'x') + "...'");
}

TEST(Config, NullIsTheDefault) {
  const RunConfig run =
      parse_json<RunConfig>(R"({"sampler": {"steps": null}, "title": null, "note": null})", "run.json");
  EXPECT_EQ(to_json(run), to_json(RunConfig()));
}

TEST(Config, AWholeNumberMayHaveAPoint) {
  EXPECT_EQ(parse_json<RunConfig>(R"({"sampler": {"steps": 20.0}})", "run.json").sampler.steps, 20);
  EXPECT_EQ(parse_toml<RunConfig>("size = [8.0, 1e2]", "run.toml").size, (std::vector<int64_t>{8, 100}));
  EXPECT_EQ(
      json_error(R"({"sampler": {"steps": 1e300}})"),
      "run.json: sampler.steps: expected a whole number from -9223372036854775808 to 9223372036854775807, found the "
      "number 1e+300");
}

TEST(Config, AWholeNumberBeyond64BitsIsToldTheRange) {
  const std::string range = "expected a whole number from -9223372036854775808 to 9223372036854775807, found ";
  EXPECT_EQ(toml_error("title = ''\n[sampler]\nsteps = 9223372036854775808"),
            "run.toml:3: steps: " + range + "9223372036854775808");
  EXPECT_EQ(toml_error("size = [1, -99999999999999999999]"), "run.toml:1: size: " + range + "-99999999999999999999");
  EXPECT_EQ(toml_error("size = [1,\n99999999999999999999]"), "run.toml:2: " + range + "99999999999999999999");
  RunConfig run;
  EXPECT_EQ(test::error_of([&] { apply_override(run, "sampler.steps=-99999999999999999999"); }),
            "command line: sampler.steps: " + range + "the string '-99999999999999999999'");
}

TEST(Config, RulesOfAStructAreCheckedWithItsPlace) {
  EXPECT_EQ(toml_error("title = ''\n[sampler]\nsteps = 0"), "run.toml:2: sampler: steps is 0, expected at least 1");
  EXPECT_EQ(json_error(R"({"sampler": {"steps": 0}})"), "run.json: sampler: steps is 0, expected at least 1");
  EXPECT_EQ(toml_error("size = [1]"), "run.toml: size has 1 numbers, expected 2");
}

TEST(Config, MalformedFilesSayWhere) {
  EXPECT_EQ(toml_error("title = ''\nquick = \n").find("run.toml:2: "), 0u);
  EXPECT_EQ(toml_error("title = ''\ntitle = ''").find("run.toml:2: "), 0u);
  EXPECT_EQ(json_error("{").find("run.json: malformed JSON: parse error at line 1, column 2: "), 0u);
  EXPECT_EQ(json_error(R"({"title": "", "title": ""})"), "run.json: \"title\" occurs twice");
}

TEST(Config, DepthIsBounded) {
  std::string key = "a";
  for (int i = 0; i < 30000; ++i) key += i % 2 ? ".a" : " . \"b\"";
  EXPECT_EQ(json_error("{\"size\":" + std::string(1000000, '[')), "run.json: is nested more than 127 deep");
  for (const std::string& text : {"[" + key + "]", "[[" + key + "]]", key + " = 1", "x = {" + key + " = 1}"})
    EXPECT_EQ(toml_error("# a.b\n" + text), "run.toml:2: a key has more than 127 parts") << text.substr(0, 9);
  RunConfig run;
  EXPECT_NE(test::error_of([&] { apply_override(run, key + "=1"); }).find("more than 127 parts"), std::string::npos);
  const std::string nested = toml_error("size = " + std::string(1000, '['));
  EXPECT_TRUE(nested.starts_with("run.toml:1: ") && nested.find("nest") != std::string::npos) << nested;
}

TEST(Config, DotsOutsideOfKeysAreNotCounted) {
  const std::string dots(500, '.');
  EXPECT_EQ(
      parse_toml<RunConfig>("title = \"\\\"" + dots + "\" # " + dots + "\nnote = '''" + dots + "'''", "run.toml").title,
      "\"" + dots);
  RunConfig run;
  apply_override(run, "title=" + dots);
  EXPECT_EQ(run.title, dots);
}

TEST(Config, AFileBeyondTheLimitIsRefused) {
  const test::Folder folder;
  write_text(folder / "run.toml", std::string(kMostConfigBytes + 1, '\n'));
  const std::string error = test::error_of([&] { load_toml<RunConfig>(folder / "run.toml"); });
  EXPECT_NE(error.find("has 16777217 bytes, expected at most 16777216"), std::string::npos) << error;
}

TEST(ConfigOverride, FieldsAreSetByDottedPath) {
  RunConfig run;
  apply_overrides(
      run, {"sampler.steps=20", "size=[64, 96]", "title=2024", "note=two words", "preview.shift=1", "quick=true"});
  EXPECT_EQ(run.sampler.steps, 20);
  EXPECT_EQ(run.sampler.shift, 5.0);
  EXPECT_EQ(run.size, (std::vector<int64_t>{64, 96}));
  EXPECT_EQ(run.title, "2024");
  EXPECT_EQ(run.note, "two words");
  EXPECT_EQ(run.preview.value().shift, 1.0);
  EXPECT_TRUE(run.quick);
  apply_override(run, "title=\"quoted = text\"");
  EXPECT_EQ(run.title, "quoted = text");
}

TEST(ConfigOverride, ErrorsAreThoseOfAFileAndChangeNothing) {
  RunConfig run;
  const auto error = [&](const std::string& text) { return test::error_of([&] { apply_override(run, text); }); };
  EXPECT_EQ(error("sampler.stepz=20"), "command line: unknown key 'stepz' in [sampler]; did you mean 'steps'?");
  EXPECT_EQ(error("sampler.steps=many"),
            "command line: sampler.steps: expected a whole number, found the string 'many'");
  EXPECT_EQ(error("sampler.steps=0"), "command line: sampler: steps is 0, expected at least 1");
  EXPECT_EQ(error("sampler=3"), "command line: sampler: expected a table, found the whole number 3");
  const std::string shown = std::string(80, 'x') + "...", longer(1000, 'x');
  EXPECT_EQ(error(longer), "command line: '" + shown + "': expected key=value");
  EXPECT_EQ(error("sampler." + longer + "=1"),
            "command line: unknown key '" + shown + "' in [sampler]; known keys: steps, shift");
  for (const char* text : {"", "=3", "sampler", ".=3", "sampler..steps=3"})
    EXPECT_NE(error(text).find("expected key=value"), std::string::npos) << text;
  EXPECT_EQ(to_toml(run), to_toml(RunConfig()));
}

TEST(ConfigOverride, ErrorsNameWhoGaveTheSetting) {
  RunConfig run;
  for (const char* text : {"sampler.stepz=20", "sampler.steps=0", "sampler"})
    EXPECT_EQ(test::error_of([&] { apply_overrides(run, {text}, "film.toml"); }).find("film.toml: "), 0u) << text;
}

}  // namespace
}  // namespace moga
