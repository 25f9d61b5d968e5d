// The queue: order, limits, cancelling, and what it makes of every state in which a program can be killed.
#include "moga/serve/job_queue.h"

#include <gtest/gtest.h>

#include "moga/serve/api_error.h"
#include "tests/serve/queue_cases.h"
#include "tests/support/error.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using test::status_of;
using test::submit;

class JobQueueTest : public testing::Test {
 protected:
  JobQueue& queue() {
    if (!queue_) queue_ = std::make_unique<JobQueue>(folder_.path(), limits_, "demo");
    return *queue_;
  }
  // As if the program had been killed and started again.
  JobQueue& restarted() {
    queue_.reset();
    return queue();
  }
  static int status_of_error(const std::function<void()>& act) {
    try {
      act();
    } catch (const ApiError& error) {
      return error.status();
    }
    return 0;
  }
  test::Folder folder_;
  QueueLimits limits_{3, 2};
  std::unique_ptr<JobQueue> queue_;
};

TEST_F(JobQueueTest, WorksInOrder) {
  const std::string one = submit(queue(), "one").job.id, two = submit(queue(), "two").job.id;
  EXPECT_EQ(queue().find(two)->position, 2);
  EXPECT_EQ(queue().take()->id, one);
  EXPECT_EQ(status_of(queue(), one), JobStatus::kInProgress);
  EXPECT_EQ(queue().find(two)->position, 1);
  queue().complete(one);
  EXPECT_EQ(queue().take()->id, two);
  queue().fail(two, "why");
  EXPECT_EQ(queue().find(two)->job.error, "why");
  EXPECT_EQ(queue().all().front().job.id, one);
}

TEST_F(JobQueueTest, IsBounded) {
  for (const char* title : {"1", "2", "3"}) submit(queue(), title);
  EXPECT_EQ(status_of_error([&] { submit(queue(), "4"); }), 429);
  const std::string first = queue().take()->id;  // a job that runs counts
  EXPECT_EQ(status_of_error([&] { submit(queue(), "4"); }), 429);
  queue().complete(first);
  EXPECT_EQ(status_of_error([&] { submit(queue(), "4"); }), 0);
}

TEST_F(JobQueueTest, KeepsTheNewestThatEnded) {
  std::vector<std::string> ids;
  for (const char* title : {"1", "2", "3"}) ids.push_back(submit(queue(), title).job.id);
  for (const std::string& id : ids) {
    write_text(queue().files_of(queue().take()->id).film, id);
    queue().complete(id);
  }
  EXPECT_FALSE(queue().find(ids[0]));
  EXPECT_FALSE(fs::exists(folder_ / ids[0]));
  EXPECT_TRUE(queue().find(ids[1]) && queue().find(ids[2]));
  limits_.kept = 1;
  EXPECT_EQ(restarted().all().size(), 1);
}

TEST_F(JobQueueTest, AKeySubmitsOnce) {
  const std::string id = submit(queue(), "one", "key-1").job.id;
  EXPECT_EQ(submit(queue(), "one", "key-1").job.id, id);
  EXPECT_EQ(status_of_error([&] { submit(queue(), "two", "key-1"); }), 409);
  EXPECT_NE(submit(queue(), "one").job.id, id);
  EXPECT_EQ(submit(restarted(), "one", "key-1").job.id, id);
  EXPECT_EQ(queue().all().size(), 2);
}

TEST_F(JobQueueTest, CancelsWhatWaitsAndRemovesWhatEnded) {
  const std::string id = submit(queue()).job.id;
  EXPECT_EQ(queue().remove(id), Removal::kCancelled);
  EXPECT_EQ(status_of(queue(), id), JobStatus::kCancelled);
  EXPECT_EQ(status_of(restarted(), id), JobStatus::kCancelled);
  EXPECT_EQ(queue().remove(id), Removal::kRemoved);
  EXPECT_EQ(status_of_error([&] { queue().remove(id); }), 404);
  EXPECT_FALSE(fs::exists(folder_ / id));
}

TEST_F(JobQueueTest, CancelsWhatRuns) {
  const std::string id = submit(queue(), "slow").job.id;
  queue().take();
  write_text(queue().files_of(id).film, "film");
  EXPECT_EQ(queue().remove(id), Removal::kCancelled);
  EXPECT_TRUE(queue().stop_flag());
  EXPECT_EQ(status_of_error([&] { queue().remove(id); }), 409);  // until the worker has let go of it
  queue().complete(id);                                          // it was done before it saw the flag
  EXPECT_EQ(status_of(queue(), id), JobStatus::kCancelled);
  EXPECT_FALSE(fs::exists(queue().files_of(id).film));
  EXPECT_EQ(queue().remove(id), Removal::kRemoved);
}

TEST_F(JobQueueTest, TellsOfChanges) {
  using std::chrono::milliseconds;
  const JobView first = submit(queue());
  EXPECT_EQ(queue().wait_for_change(first.job.id, first.version, milliseconds(1))->version, first.version);
  std::thread other([&] { queue().report(first.job.id, [](JobProgress& progress) { progress.done = 7; }); });
  const auto changed = queue().wait_for_change(first.job.id, first.version, milliseconds(10'000));
  other.join();
  EXPECT_EQ(changed->progress.done, 7);
  EXPECT_GT(changed->version, first.version);
  queue().remove(first.job.id);
  queue().remove(first.job.id);
  EXPECT_FALSE(queue().wait_for_change(first.job.id, 0, milliseconds(10'000)));
  queue().close();
  EXPECT_FALSE(queue().take());
}

TEST_F(JobQueueTest, KilledWhileItWaits) {
  const std::string one = submit(queue(), "one").job.id, two = submit(queue(), "two").job.id;
  EXPECT_EQ(restarted().take()->id, one);
  EXPECT_EQ(status_of(queue(), two), JobStatus::kQueued);
  const std::string three = submit(queue(), "three").job.id;
  EXPECT_EQ(restarted().all().back().job.id, three);  // behind those of before
}

TEST_F(JobQueueTest, KilledWhileItRuns) {
  const std::string one = submit(queue(), "one").job.id;
  submit(queue(), "two");
  queue().take();
  write_text(queue().files_of(one).state, "kept");
  EXPECT_EQ(status_of(restarted(), one), JobStatus::kQueued);
  EXPECT_EQ(queue().take()->id, one);  // first again
  EXPECT_EQ(read_text(queue().files_of(one).state), "kept");
}

TEST_F(JobQueueTest, KilledBetweenTheFilmAndItsRecord) {
  const std::string id = submit(queue()).job.id;
  queue().take();
  write_text(queue().files_of(id).film, "film");
  write_text(queue().files_of(id).state, "kept");
  EXPECT_EQ(status_of(restarted(), id), JobStatus::kCompleted);  // not made twice
  EXPECT_EQ(read_text(queue().files_of(id).film), "film");
  EXPECT_FALSE(fs::exists(queue().files_of(id).state));
}

TEST_F(JobQueueTest, KilledWhileACancelledJobStops) {
  const std::string id = submit(queue()).job.id;
  queue().take();
  queue().remove(id);
  write_text(queue().files_of(id).state, "kept");
  EXPECT_EQ(status_of(restarted(), id), JobStatus::kCancelled);
  EXPECT_FALSE(fs::exists(queue().files_of(id).state));
}

TEST_F(JobQueueTest, JobsWaitForTheirModel) {
  const std::string id = submit(queue()).job.id;
  queue_.reset();
  const std::string error = test::error_of([&] { JobQueue other(folder_.path(), {}, "wan"); });
  EXPECT_NE(error.find("waits for the model demo, not wan"), std::string::npos) << error;
  queue().remove(id);
  queue_.reset();
  EXPECT_EQ(test::error_of([&] { JobQueue other(folder_.path(), {}, "wan"); }), "");
}

}  // namespace
}  // namespace moga
