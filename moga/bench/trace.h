// Which operators and kernels a piece of work runs, and when: PyTorch's own profiler, written as a Chrome trace.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <functional>

namespace moga {

// Runs `work` once and writes its trace, JSON for Perfetto or chrome://tracing, to `path`. Recording slows the work.
void write_trace(const std::filesystem::path& path, c10::Device device, const std::function<void()>& work);

}  // namespace moga
