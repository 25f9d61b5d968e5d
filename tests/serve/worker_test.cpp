// The worker: films, failures, and jobs that are stopped.
#include "moga/serve/worker.h"

#include <gtest/gtest.h>

#include "tests/serve/queue_cases.h"
#include "tests/support/folder.h"

namespace moga {
namespace {

using test::soon;
using test::status_of;
using test::submit;

TEST(Worker, MakesOneFilmAfterTheOther) {
  const test::Folder folder;
  JobQueue queue(folder.path(), {}, "demo");
  const std::string good = submit(queue, "good").job.id, bad = submit(queue, "bad").job.id,
                    last = submit(queue, "last").job.id;
  const test::Working working(queue);
  ASSERT_TRUE(soon([&] { return status_of(queue, last) == JobStatus::kCompleted; }));
  EXPECT_EQ(read_text(queue.files_of(good).film), "good");
  EXPECT_FALSE(std::filesystem::exists(queue.files_of(good).preview));
  EXPECT_EQ(status_of(queue, bad), JobStatus::kFailed);
  EXPECT_EQ(queue.find(bad)->job.error, "the weights are bad");  // one line
}

TEST(Worker, ACancelledJobMakesRoomForTheNext) {
  const test::Folder folder;
  JobQueue queue(folder.path(), {}, "demo");
  const std::string slow = submit(queue, "slow").job.id, next = submit(queue, "next").job.id;
  const test::Working working(queue);
  ASSERT_TRUE(soon([&] { return status_of(queue, slow) == JobStatus::kInProgress; }));
  queue.remove(slow);
  ASSERT_TRUE(soon([&] { return status_of(queue, next) == JobStatus::kCompleted; }));
  EXPECT_EQ(status_of(queue, slow), JobStatus::kCancelled);
  EXPECT_FALSE(interrupted());
}

TEST(Worker, ASignalPutsTheJobBack) {
  const test::Folder folder;
  JobQueue queue(folder.path(), {}, "demo");
  const std::string id = submit(queue, "slow").job.id;
  {
    const test::Working working(queue);
    ASSERT_TRUE(soon([&] { return status_of(queue, id) == JobStatus::kInProgress; }));
  }
  EXPECT_EQ(status_of(queue, id), JobStatus::kQueued);
  EXPECT_EQ(queue.find(id)->job.completed_at, 0);
}

}  // namespace
}  // namespace moga
