// The line that a run ends with when memory runs out.
#include "moga/train/loop/out_of_memory.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>

#include <new>

#include "moga/core/check.h"
#include "tests/support/compare.h"
#include "tests/support/error.h"

namespace moga {
namespace {

std::string message_of(const std::function<TrainEnd()>& train) {
  const MemoryHelp help = {at::kCPU, "planned 31.2 GiB", "stage.0.accumulation=4, cache=host"};
  return test::error_of([&] { explain_out_of_memory(help, train); });
}

TEST(OutOfMemory, IsOneLineWithThePlanAndWhatNeedsLess) {
  const std::vector<std::function<TrainEnd()>> causes = {
      []() -> TrainEnd { C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate 18 GiB.\nSee"); },
      []() -> TrainEnd { throw std::bad_alloc(); },
      []() -> TrainEnd { return at::empty({int64_t{1} << 50}).defined() ? TrainEnd::done : TrainEnd::interrupted; }};
  for (const auto& cause : causes) {
    const std::string message = message_of(cause);
    EXPECT_TRUE(message.starts_with("out of memory on the host: ")) << message;
    EXPECT_NE(message.find("planned 31.2 GiB; less is needed with stage.0.accumulation=4, cache=host"),
              std::string::npos)
        << message;
    EXPECT_EQ(message.find("llocat"), std::string::npos) << message;
  }
}

TEST(OutOfMemory, OtherErrorsPass) {
  EXPECT_EQ(message_of([]() -> TrainEnd { fail("no such folder"); }), "no such folder");
  EXPECT_EQ(explain_out_of_memory({at::kCPU, "", ""}, [] { return TrainEnd::out_of_time; }), TrainEnd::out_of_time);
}

}  // namespace
}  // namespace moga
