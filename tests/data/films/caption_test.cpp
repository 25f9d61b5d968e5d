// Stage caption against a small server: which shots are sent, what an interrupted run keeps, and captions of whole
// films.
#include "moga/data/films/caption_config.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/films/stages.h"
#include "tests/data/captioner/chat_server.h"
#include "tests/data/films/made_film.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

// A film with three shots.
struct ThreeShots {
  explicit ThreeShots(const test::Folder& folder) {
    set_quiet(true);
    setenv("MOGA_TEST_KEY", "sk-secret-8", 1);
    std::vector<at::Tensor> frames;
    for (uint64_t i = 0; i < 3; ++i) frames = test::joined(frames, test::pan(test::scene(i), 16, 2));
    test::write_film(folder / "film.mp4", frames);
    films = {test::film_line(0, folder / "film.mp4")};
    for (int64_t i = 0; i < 3; ++i)
      shots.push_back(test::shot_line(0, i, static_cast<double>(i), static_cast<double>(i) + 1));
    write_text(folder / "prompt.txt", "Describe the shot.");
    write_text(folder / "film.txt", "Describe the film.");
    config.out = (folder / "out").string();
    config.caption.prompt = (folder / "prompt.txt").string();
    config.caption.model = "tiny";
    config.caption.key_variable = "MOGA_TEST_KEY";
    config.caption.frames = 2;
    config.caption.longest_side = 160;
    config.caption.retries = 0;
  }
  FilmsConfig config;
  std::vector<Record> films, shots;
};

// The same answer to the same request.
test::Reply described(const std::vector<test::Asked>& all) {
  return {200, test::chat_answer("Picture " + std::to_string(std::hash<std::string>()(all.back().body) % 1000) + ".")};
}

std::string pictures_in(const std::string& body) {
  return nlohmann::json::parse(body).at("messages").at(0).at("content").at(0).at("image_url").at("url");
}

TEST(Caption, AsksForShotsWithoutACaption) {
  const test::Folder folder;
  ThreeShots three(folder);
  test::ChatServer server(described);
  three.config.caption.endpoint = server.endpoint();
  three.shots[1]["caption"] = "Known.";
  three.shots[2]["crop"] = {0, 0, 160, 88};
  const auto lines = caption_films(three.config, three.films, three.shots);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].at("shot"), 0);
  EXPECT_EQ(lines[1].at("shot"), 2);
  EXPECT_EQ(lines[0].at("caption").get<std::string>().substr(0, 8), "Picture ");
  EXPECT_EQ(lines[0].at("model"), "tiny");
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(nlohmann::json::parse(requests[0].body).at("messages").at(0).at("content").size(), 3u);
  EXPECT_EQ(pictures_in(requests[0].body).substr(0, 27), "data:image/jpeg;base64,/9j/");
  EXPECT_EQ(read_text(folder / "out/caption.jsonl").find("secret"), std::string::npos);
  three.config.caption.replace = true;
  EXPECT_EQ(caption_films(three.config, three.films, three.shots).size(), 3u);
  EXPECT_EQ(server.requests().size(), 3u);  // the two that were there are kept
  three.films[0]["captions"] = {"All of it."};
  three.config.caption.replace = false;
  EXPECT_TRUE(caption_films(three.config, three.films, three.shots).empty());
}

TEST(Caption, ContinuesWithTheSameBytesAfterAFault) {
  const test::Folder folder;
  ThreeShots three(folder);
  test::ChatServer whole_server(described);
  three.config.caption.endpoint = whole_server.endpoint();
  caption_films(three.config, three.films, three.shots);
  const std::string whole = read_text(folder / "out/caption.jsonl");
  std::filesystem::remove(folder / "out/caption.jsonl");
  // The third request fails: the first two captions are kept.
  test::ChatServer failing([](const auto& all) { return all.size() == 3 ? test::Reply{400, "no"} : described(all); });
  three.config.caption.endpoint = failing.endpoint();
  three.config.caption.parallel = 1;
  EXPECT_NE(test::error_of([&] { caption_films(three.config, three.films, three.shots); }).find("status 400"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "out/caption.jsonl"));
  caption_films(three.config, three.films, three.shots);
  EXPECT_EQ(failing.requests().size(), 4u);
  EXPECT_EQ(read_text(folder / "out/caption.jsonl"), whole);
}

TEST(Caption, DescribesTheWholeFilm) {
  const test::Folder folder;
  ThreeShots three(folder);
  test::ChatServer server([](const std::vector<test::Asked>& all) {
    return test::Reply{200, test::chat_answer(all.size() == 4 ? "A walk." : "Shot answer.")};
  });
  three.config.caption.endpoint = server.endpoint();
  three.config.caption.film_prompt = (folder / "film.txt").string();
  const auto lines = caption_films(three.config, three.films, three.shots);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[3].at("global_caption"), "A walk.");
  const std::string asked = nlohmann::json::parse(server.requests()[3].body).dump();
  EXPECT_NE(asked.find("Describe the film."), std::string::npos);
  EXPECT_NE(asked.find("Shot 3: Shot answer."), std::string::npos);
  EXPECT_EQ(with_global_captions(three.films, lines)[0].at("global_caption"), "A walk.");
}

TEST(Caption, NeedsAPrompt) {
  EXPECT_NE(
      test::error_of([] { CaptionConfig{.endpoint = "http://localhost"}.validate(); }).find("endpoint needs prompt"),
      std::string::npos);
  const test::Folder folder;
  ThreeShots three(folder);
  three.config.caption.endpoint = "http://127.0.0.1:9/v1";
  write_text(folder / "prompt.txt", " \n");
  EXPECT_NE(test::error_of([&] { caption_films(three.config, three.films, three.shots); }).find("prompt.txt: is empty"),
            std::string::npos);
}

}  // namespace
}  // namespace moga
