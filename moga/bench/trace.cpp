// See trace.h.
#include "moga/bench/trace.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include "moga/core/device.h"
#include "moga/core/files.h"

namespace moga {

void write_trace(const std::filesystem::path& path, c10::Device device, const std::function<void()>& work) {
  namespace profiler = torch::profiler::impl;
  std::set<profiler::ActivityType> activities = {profiler::ActivityType::CPU};
  if (device.is_cuda()) activities.insert(profiler::ActivityType::CUDA);
  const profiler::ProfilerConfig config(profiler::ProfilerState::KINETO);
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    torch::autograd::profiler::prepareProfiler(config, activities);
    torch::autograd::profiler::enableProfiler(config, activities);
    work();
    synchronize(device);
    torch::autograd::profiler::disableProfiler()->save(temporary.string());
  });
}

}  // namespace moga
