// Films of jobs by the pipeline, with a tiny model: the same as without a server, with previews, and continued.
#include "moga/serve/film_maker.h"

#include <gtest/gtest.h>

#include "moga/core/stop_scope.h"
#include "moga/data/video/read_image.h"
#include "moga/data/video/video.h"
#include "moga/pipeline/film_tags.h"
#include "tests/serve/queue_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"
#include "tests/support/tiny_model.h"

namespace moga {
namespace {

class FilmMakerTest : public testing::Test {
 protected:
  FilmMakerTest() { test::write_tiny_model(folder_ / "model"); }

  FilmMaker maker(bool keep_loaded = false) {
    ServedModel model;
    model.folder = folder_ / "model";
    model.configs = load_model_configs(model.folder);
    model.name = "tiny";
    model.tool = "moga test";
    model.settings = {"sampler.steps=2"};
    model.keep_loaded = keep_loaded;
    model.keep_every = 0;
    model.load = [this](const Script&, const std::vector<std::string>& settings) {
      ++loads_;
      return load_models(folder_ / "model", at::kCPU, at::kFloat, settings);
    };
    return FilmMaker(std::move(model));
  }
  static Job job(const std::vector<std::string>& set = {}) {
    Job job;
    job.id = new_job_id();
    job.script = test::small_script();
    job.script.set = set;
    return job;
  }
  JobFiles files(const std::string& name) {
    return {folder_ / (name + ".mp4"), folder_ / (name + ".png"), folder_ / (name + ".mp4.resume"),
            folder_ / (name + ".jpg")};
  }
  test::Folder folder_;
  int loads_ = 0;
};

TEST_F(FilmMakerTest, MakesFilmSheetAndPreviews) {
  JobProgress progress;
  std::string stages;
  maker().make(job(), files("a"), [&](const std::function<void(JobProgress&)>& change) {
    change(progress);
    if (stages.find(progress.stage) == std::string::npos) stages += progress.stage + " ";
  });
  EXPECT_EQ(open_video(files("a").film)->info().frames, 9);
  EXPECT_TRUE(std::filesystem::exists(files("a").sheet));
  EXPECT_FALSE(std::filesystem::exists(files("a").state));
  EXPECT_NE(stages.find("text denoise decode "), std::string::npos) << stages;
  EXPECT_EQ(progress.done, progress.total);
  EXPECT_GE(progress.previews, 1);
  EXPECT_EQ(read_image(files("a").preview).size(0), 3);
  EXPECT_NE(script_of_film(files("a").film).find("sampler.steps=2"), std::string::npos);
}

TEST_F(FilmMakerTest, ScriptsOverrideTheServersSettings) {
  JobProgress progress;
  int64_t steps = 0;
  maker().make(job({"sampler.steps=3"}), files("a"), [&](const std::function<void(JobProgress&)>& change) {
    change(progress);
    if (progress.stage == "denoise") steps = progress.total;
  });
  EXPECT_EQ(steps, 3);
}

TEST_F(FilmMakerTest, RefusesWhatTheModelCannotDo) {
  const FilmMaker films = maker();
  const auto error = [&](const Script& script) { return test::error_of([&] { films.check(script); }); };
  Script script = test::small_script();
  EXPECT_EQ(error(script), "");
  script.set = {"sampler.stepz=3"};
  EXPECT_NE(error(script).find("request: unknown key 'stepz'; did you mean 'steps'?"), std::string::npos)
      << error(script);
  script.set = {"sampler.steps=2000"};
  EXPECT_NE(error(script).find("2000 sampler steps, expected at most 1000"), std::string::npos) << error(script);
  script.set = {};
  script.shot[0].image = "image-1.png";
  EXPECT_NE(error(script), "");
}

TEST_F(FilmMakerTest, AStoppedJobContinues) {
  FilmMaker films = maker();
  const auto nothing = [](const std::function<void(JobProgress&)>&) {};
  const Job long_job = job({"sampler.steps=20"});
  films.make(long_job, files("whole"), nothing);
  std::atomic<bool> stop{false};
  {
    const StopScope scope(stop);
    JobProgress progress;
    EXPECT_THROW(films.make(long_job, files("stopped"),
                            [&](const std::function<void(JobProgress&)>& change) {
                              change(progress);
                              if (progress.stage == "denoise" && progress.done >= 1) stop = true;
                            }),
                 Interrupted);
  }
  EXPECT_TRUE(std::filesystem::exists(files("stopped").state));
  JobProgress progress;
  int64_t first = -1;
  films.make(long_job, files("stopped"), [&](const std::function<void(JobProgress&)>& change) {
    change(progress);
    if (progress.stage == "denoise" && first < 0) first = progress.done;
  });
  EXPECT_GE(first, 1);
  EXPECT_EQ(read_text(files("stopped").film), read_text(files("whole").film));
}

TEST_F(FilmMakerTest, AStateThatDoesNotFitIsLeftAside) {
  FilmMaker films = maker();
  write_text(files("a").state, "damaged");
  films.make(job(), files("a"), [](const std::function<void(JobProgress&)>&) {});
  EXPECT_EQ(open_video(files("a").film)->info().frames, 9);
}

// A job is taken for complete if its film is there, so the sheet comes first.
TEST_F(FilmMakerTest, ThereIsNoFilmWithoutItsSheet) {
  std::filesystem::create_directories(files("a").sheet / "in the way");
  EXPECT_THROW(maker().make(job(), files("a"), [](const std::function<void(JobProgress&)>&) {}), Error);
  EXPECT_FALSE(std::filesystem::exists(files("a").film));
}

TEST_F(FilmMakerTest, KeepsModelsLoaded) {
  FilmMaker films = maker(true);
  const auto nothing = [](const std::function<void(JobProgress&)>&) {};
  films.make(job(), files("a"), nothing);
  films.make(job(), files("b"), nothing);
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(read_text(files("a").film), read_text(files("b").film));
  films.make(job({"sampler.steps=3"}), files("c"), nothing);
  EXPECT_EQ(loads_, 2);
  FilmMaker others = maker();
  others.make(job(), files("d"), nothing);
  EXPECT_EQ(read_text(files("d").film), read_text(files("a").film));
}

}  // namespace
}  // namespace moga
