// Jobs on the disk: whole, in order, of one program, and cleaned of what a kill left.
#include "moga/serve/job_store.h"

#include <gtest/gtest.h>

#include "moga/core/config.h"
#include "tests/serve/queue_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;

Job job_of(int64_t number, const std::string& title = "T") {
  Job job;
  job.id = new_job_id();
  job.number = number;
  job.model = "demo";
  job.script = test::small_script(title);
  return job;
}

TEST(JobStore, KeepsJobsInTheirOrder) {
  const test::Folder folder;
  JobStore store(folder.path());
  Job second = job_of(2, "two");
  second.script.shot[0].image = "image-1.png";
  store.create(second, {{"image-1.png", "PNG"}});
  store.create(job_of(1, "one"), {});
  second.status = JobStatus::kFailed;
  second.error = "no \"memory\"\nleft";
  store.save(second);
  const std::vector<Job> jobs = store.load();
  ASSERT_EQ(jobs.size(), 2);
  EXPECT_EQ(jobs[0].script.title, "one");
  EXPECT_EQ(jobs[1].id, second.id);
  EXPECT_EQ(jobs[1].status, JobStatus::kFailed);
  EXPECT_EQ(jobs[1].error, second.error);
  EXPECT_EQ(jobs[1].script.size, second.script.size);
  EXPECT_EQ(read_text(jobs[1].script.folder / *jobs[1].script.shot[0].image), "PNG");
}

TEST(JobStore, AFolderHasOneProgram) {
  const test::Folder folder;
  const JobStore store(folder.path());
  EXPECT_NE(test::error_of([&] { JobStore second(folder.path()); }).find("is used by another `moga serve`"),
            std::string::npos);
}

TEST(JobStore, RemovesWhatAKillLeft) {
  const test::Folder folder;
  JobStore store(folder.path());
  const Job job = job_of(1);
  store.create(job, {});
  const fs::path own = store.folder_of(job.id);
  write_text(own / ".film.partial-0123456789abcdef.mp4", "half");
  write_text(folder / (".removed-" + new_job_id()) / "job.json", "{}");
  write_text(folder / ("." + new_job_id() + ".partial-0123456789abcdef") / "script.json", "{");
  EXPECT_EQ(store.load().size(), 1);
  size_t left = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) left += entry.is_regular_file();
  EXPECT_EQ(left, 3);  // .lock, job.json, script.json
}

TEST(JobStore, SkipsAJobThatCannotBeRead) {
  const test::Folder folder;
  JobStore store(folder.path());
  const Job good = job_of(1), damaged = job_of(2), moved = job_of(3);
  for (const Job& job : {good, damaged, moved}) store.create(job, {});
  write_text(store.folder_of(damaged.id) / "job.json", "{\"id\"");
  fs::rename(store.folder_of(moved.id), store.folder_of(new_job_id()));
  const std::vector<Job> jobs = store.load();
  ASSERT_EQ(jobs.size(), 1);
  EXPECT_EQ(jobs[0].id, good.id);
  EXPECT_TRUE(fs::exists(store.folder_of(damaged.id)));
}

TEST(JobStore, RemovesJobsAndFilms) {
  const test::Folder folder;
  JobStore store(folder.path());
  const Job job = job_of(1);
  store.create(job, {});
  const JobFiles files = store.files_of(job.id);
  for (const fs::path& file : {files.film, files.sheet, files.state, files.preview}) write_text(file, "x");
  store.remove_film(job.id);
  for (const fs::path& file : {files.film, files.sheet, files.state, files.preview}) EXPECT_FALSE(fs::exists(file));
  EXPECT_EQ(store.load().size(), 1);
  store.remove(job.id);
  EXPECT_FALSE(fs::exists(store.folder_of(job.id)));
  EXPECT_TRUE(store.load().empty());
}

}  // namespace
}  // namespace moga
