// The lists that people have, read as they are.
#include "moga/data/films/sources.h"

#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/data/films/source_formats.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using Texts = std::vector<std::string>;

struct Films : testing::Test {
  test::Folder folder;
  void SetUp() override {
    std::filesystem::create_directories(folder / "videos");
    for (const char* name : {"a.mp4", "b.MKV", "été 水.mp4", "videos/c.mp4"}) write_text(folder / name, "film");
  }
  SourceList read(const std::string& name, const std::string& text) {
    write_text(folder / name, text);
    return read_sources(folder / name, SourceFormat::kAuto);
  }
};

TEST_F(Films, OfAFolderHaveCaptionsNextToThem) {
  write_text(folder / "a.txt", "  A red boat.\n");
  write_text(folder / "readme.md", "");
  const SourceList list = read_sources(folder.path(), SourceFormat::kAuto);
  ASSERT_EQ(list.sources.size(), 4u);
  EXPECT_EQ(list.sources[0].captions, Texts{"A red boat."});
  EXPECT_TRUE(list.sources[1].captions.empty());
  EXPECT_NE(list.notes.at(0).find("1 files are neither films nor captions"), std::string::npos);
}

TEST_F(Films, OfFastVideoAreInVideos) {
  const SourceList list = read("videos2caption.json", R"([{"path": "c.mp4", "cap": ["A dog."], "fps": 24.0},
    {"path": "gone.mp4", "cap": ["x"]}, {"cap": ["y"]}, 7])");
  ASSERT_EQ(list.sources.size(), 4u);
  EXPECT_EQ(list.sources[0].path, folder / "videos/c.mp4");
  EXPECT_EQ(list.sources[0].captions, Texts{"A dog."});
  EXPECT_EQ(list.sources[1].problem, "gone.mp4: no such file");
  EXPECT_NE(list.sources[2].problem.find("entry 2 names no file"), std::string::npos) << list.sources[2].problem;
  EXPECT_NE(list.sources[3].problem.find("is a JSON number"), std::string::npos);
  EXPECT_EQ(list.notes, Texts{(folder / "videos2caption.json").string() + ": not used: fps"});
}

TEST_F(Films, OfEchoShotAreSequences) {
  const SourceList list =
      read("train.json", R"([{"shots": ["a.mp4", "été 水.mp4"], "cap_list": ["One.", "Two."], "inner_t": [9, 15]}])");
  ASSERT_EQ(list.sources.size(), 2u);
  EXPECT_EQ(list.sources[0].sequence, list.sources[1].sequence);
  EXPECT_FALSE(list.sources[0].sequence.empty());
  EXPECT_EQ(list.sources[1].captions, Texts{"Two."});
  EXPECT_EQ(list.sources[1].latent_frames, 15);
  EXPECT_TRUE(list.sources[1].one_shot);
}

TEST_F(Films, OfHoloCineHaveCutsAndCaptions) {
  const SourceList list = read("holocine.json", R"([{"video": "a.mp4", "global_caption": "A day.",
    "shot_captions": ["Dawn.", "Noon."], "shot_cut_frames": [37]},
    {"video": "a.mp4", "shot_captions": ["Dawn.", "Noon."], "shot_cut_frames": [37, 60]}])");
  EXPECT_EQ(list.sources[0].global_caption, "A day.");
  EXPECT_EQ(list.sources[0].cuts, std::vector<int64_t>{37});
  EXPECT_EQ(list.sources[0].captions, (Texts{"Dawn.", "Noon."}));
  EXPECT_NE(list.sources[1].problem.find("2 captions and 2 cuts"), std::string::npos) << list.sources[1].problem;
}

TEST_F(Films, OfATableHaveQuotedCaptions) {
  const SourceList list = read(
      "metadata.csv", "\xef\xbb\xbfvideo,prompt,width\r\na.mp4,\"A \"\"big\"\" boat,\nat sea.\",832\r\nb.MKV,x\r\n");
  ASSERT_EQ(list.sources.size(), 2u);
  EXPECT_EQ(list.sources[0].captions, Texts{"A \"big\" boat,\nat sea."});
  EXPECT_NE(list.sources[1].problem.find("row 2"), std::string::npos);
}

TEST_F(Films, OfMusubiAndDiffusionPipe) {
  write_text(folder / "videos/c.cap", "A cat.");
  write_text(folder / "list.jsonl", R"({"video_path": "a.mp4", "caption": "A car."})"
                                    "\n{broken\n");
  const SourceList musubi =
      read("musubi.toml",
           "[general]\nresolution = [960, 544]\ncaption_extension = \".cap\"\n"
           "[[datasets]]\nvideo_directory = \"videos\"\ntarget_frames = [1, 25]\n"
           "[[datasets]]\nvideo_jsonl_file = \"list.jsonl\"\n"
           "[[datasets]]\nimage_directory = \"images\"\n[[datasets]]\nvideo_directory = \"gone\"\n");
  ASSERT_EQ(musubi.sources.size(), 3u);
  EXPECT_EQ(musubi.sources[0].captions, Texts{"A cat."});
  EXPECT_EQ(musubi.sources[1].captions, Texts{"A car."});
  EXPECT_NE(musubi.sources[2].problem.find("list.jsonl:2"), std::string::npos);
  ASSERT_EQ(musubi.notes.size(), 3u);
  EXPECT_NE(musubi.notes[2].find("not used: resolution, target_frames"), std::string::npos) << musubi.notes[2];
  const SourceList pipe =
      read("dataset.toml", "resolutions = [512]\n[[directory]]\npath = \"videos\"\nnum_repeats = 2\n");
  EXPECT_EQ(pipe.sources.size(), 1u);
}

TEST_F(Films, ThatAreNoListAreAnError) {
  EXPECT_NE(test::error_of([&] { read("x.json", "{"); }).find("x.json: not JSON"), std::string::npos);
  EXPECT_NE(test::error_of([&] { read("x.xml", ""); }).find("expected a folder of films, or a list"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { read("x.json", "[]"); }).find("names no films"), std::string::npos);
}

}  // namespace
}  // namespace moga
