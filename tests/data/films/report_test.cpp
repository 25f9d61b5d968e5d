// report.html holds every row, and made thumbnails are used again.
#include <gtest/gtest.h>

#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/films/stages.h"
#include "tests/data/films/made_film.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

struct Made {
  explicit Made(const test::Folder& folder) {
    set_quiet(true);
    test::write_film(folder / "film.mp4",
                     test::joined(test::pan(test::scene(1), 24, 2), test::pan(test::scene(2), 24, 2)));
    films = {test::film_line(0, folder / "film.mp4"), {{"film", 1}, {"path", "lost.mp4"}, {"dropped", "is missing"}}};
    cuts = {test::shot_line(0, 0, 0, 1.5), test::shot_line(0, 1, 1.5, 3)};
    scores = {{{"film", 0}, {"shot", 0}, {"scores", {{"motion", 12.5}, {"hashes", {"00ff"}}}}}};
    const auto shot = [&](int64_t number, const std::string& caption) {
      return Record{{"film", 0},
                    {"shot", number},
                    {"path", films[0].at("path")},
                    {"start", 1.5 * static_cast<double>(number)},
                    {"frames", 16},
                    {"crop", {0, 0, 320, 176}},
                    {"interlaced", false},
                    {"caption", caption}};
    };
    samples = {{{"sample", "00000-000"},
                {"film", 0},
                {"latent_frames", 8},
                {"shots", {shot(0, "A </script> walk."), shot(1, "Rain.")}}},
               {{"sample", "00000-001"}, {"film", 0}, {"shot", 1}, {"dropped", "static: motion 0.02 below 0.1"}},
               {{"sample", "00001-000"}, {"film", 1}, {"dropped", "is missing"}}};
    config.out = (folder / "out").string();
  }
  // The data in the page.
  Record data() const {
    const std::string page = read_text(config.out + "/report.html");
    const std::string begin = "<script id=\"data\" type=\"application/json\">";
    const size_t at = page.find(begin) + begin.size();
    return Record::parse(page.substr(at, page.find("</script>", at) - at));
  }
  void write() {
    write_report(config, films, cuts, scores, samples, {{{"sample", "00000-000"}, {"dropped", "is torn"}}});
  }
  FilmsConfig config;
  std::vector<Record> films, cuts, scores, samples;
};

TEST(Report, HasARowPerLineWithThumbnailsScoresAndReasons) {
  const test::Folder folder;
  Made made(folder);
  made.write();
  const Record data = made.data();
  ASSERT_EQ(data.at("rows").size(), 3u);
  const Record& first = data.at("rows").at(0);
  EXPECT_EQ(first.at("shots").at(0).at("caption"), "A </script> walk.");
  EXPECT_EQ(first.at("shots").at(0).at("scores").at("motion"), 12.5);
  EXPECT_FALSE(first.at("shots").at(0).at("scores").contains("hashes"));
  EXPECT_EQ(first.at("dropped"), "is torn");  // by stage encode
  EXPECT_EQ(first.at("thumbnails").get<std::string>().substr(0, 4), "/9j/");
  EXPECT_TRUE(data.at("rows").at(1).contains("thumbnails"));
  EXPECT_FALSE(data.at("rows").at(2).contains("thumbnails"));
  EXPECT_EQ(data.at("films").at(1).at("dropped"), "is missing");
  const std::string page = read_text(made.config.out + "/report.html");
  EXPECT_EQ(page.find("http"), page.find("http://www.w3.org/2000/svg"));  // a name, not an address
}

TEST(Report, UsesThumbnailsAgainAndForgetsThoseOfAChangedShot) {
  const test::Folder folder;
  Made made(folder);
  made.write();
  const std::string kept = read_text(folder / "out/report.jsonl");
  made.samples[0]["shots"][0]["caption"] = "Another caption.";
  made.write();
  EXPECT_EQ(read_text(folder / "out/report.jsonl"), kept);
  EXPECT_EQ(made.data().at("rows").at(0).at("shots").at(0).at("caption"), "Another caption.");
  made.samples[0]["shots"][1]["start"] = 1.8;
  made.write();
  EXPECT_NE(read_text(folder / "out/report.jsonl"), kept);
  std::filesystem::remove(folder / "out/report.html");
  made.config.report.enabled = false;
  made.write();
  EXPECT_FALSE(std::filesystem::exists(folder / "out/report.html"));
}

}  // namespace
}  // namespace moga
