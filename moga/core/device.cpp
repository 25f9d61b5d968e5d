// Loads libtorch_cuda when a GPU is requested. The driver is queried first (gpu_facts.h), because libtorch_cuda takes
// seconds to load and is useless without a GPU. Everything else goes through ATen's device-independent interfaces, so
// that nothing here links a CUDA library.
#include "moga/core/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <link.h>
#include <sys/resource.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "moga/core/check.h"
#include "moga/core/cuda_stream.h"
#include "moga/core/gpu_facts.h"

namespace moga {
namespace {

// The folder from which libtorch_cpu.so was loaded; the matching CUDA library is in the same folder.
std::filesystem::path torch_folder() {
  void* library = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  link_map* map = nullptr;
  if (!library || dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0) return {};
  return std::filesystem::path(map->l_name).parent_path();
}

// Empty on success, otherwise why it cannot be loaded.
std::string load_torch_cuda() {
  const std::filesystem::path neighbour = torch_folder() / "libtorch_cuda.so";
  std::error_code ignored;
  const std::string name = std::filesystem::exists(neighbour, ignored) ? neighbour.string() : "libtorch_cuda.so";
  if (dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) return "";
  return dlerror();
}

struct Cuda {
  DriverFacts driver;
  std::string missing;  // why CUDA cannot be used; empty if it can
};

Cuda find_cuda() {
  Cuda cuda{driver_facts(), ""};
  if (!cuda.driver.problem.empty()) {
    cuda.missing = cuda.driver.problem;
    return cuda;
  }
  if (const std::string reason = load_torch_cuda(); !reason.empty()) {
    cuda.missing = "PyTorch's CUDA library cannot be loaded (" + reason + "); install the full torch wheel";
  } else if (!at::globalContext().hasCUDA()) {
    cuda.missing = "PyTorch's CUDA library cannot use this driver, or was loaded after ATen had looked for it";
  }
  return cuda;
}

const Cuda& cuda() {
  static const Cuda found = find_cuda();
  return found;
}

c10::DeviceIndex index_of(c10::Device device) {
  if (device.has_index()) return device.index();
  return c10::impl::getDeviceGuardImpl(device.type())->getDevice().index();
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

struct DtypeName {
  c10::ScalarType dtype;
  const char* name;
  const char* abbreviation;
};
constexpr std::array<DtypeName, 4> kComputeDtypes{{{c10::kFloat, "float32", "fp32"},
                                                   {c10::kBFloat16, "bfloat16", "bf16"},
                                                   {c10::kHalf, "float16", "fp16"},
                                                   {c10::kDouble, "float64", "fp64"}}};

}  // namespace

bool cuda_available() { return cuda().missing.empty(); }

c10::Device parse_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  if (name == "auto") return cuda_available() ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  int index = 0;
  bool known = name == "cuda";
  if (name.starts_with("cuda:")) {
    const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), index);
    known = error == std::errc() && end == name.data() + name.size() && index >= 0;
  }
  check(known, "device '", name, "' is unknown: expected cpu, cuda, cuda:N or auto");
  check(cuda_available(), "device '", name, "' cannot be used: ", cuda().missing);
  const size_t count = cuda().driver.gpus.size();
  check(static_cast<size_t>(index) < count, "device '", name, "' does not exist: this machine has ", count,
        " GPU(s), counted from cuda:0");
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

c10::ScalarType parse_dtype(const std::string& name) {
  for (const DtypeName& known : kComputeDtypes) {
    if (name == known.name || name == known.abbreviation) return known.dtype;
  }
  fail("dtype '", name, "' is unknown: expected float32, bfloat16, float16 or float64");
}

c10::ScalarType compute_dtype(const std::string& name, c10::Device device) {
  if (name == "auto") return device.is_cuda() ? c10::kBFloat16 : c10::kFloat;
  return parse_dtype(name);
}

std::string dtype_name(c10::ScalarType dtype) {
  for (const DtypeName& known : kComputeDtypes) {
    if (dtype == known.dtype) return known.name;
  }
  return c10::toString(dtype);
}

std::string device_name(c10::Device device) {
  if (!device.is_cuda()) return processor_name();
  check(cuda_available(), "device ", device, " cannot be used: ", cuda().missing);
  const std::string& name = cuda().driver.gpus.at(index_of(device)).name;
  return name.empty() ? device.str() : name;
}

void use_expandable_segments() {
  if (!std::getenv("PYTORCH_CUDA_ALLOC_CONF")) setenv("PYTORCH_ALLOC_CONF", "expandable_segments:True", /*replace=*/0);
}

void synchronize(c10::Device device) {
  if (device.is_cuda()) c10::impl::getDeviceGuardImpl(device.type())->synchronizeDevice(index_of(device));
}

CUstream_st* current_cuda_stream(c10::Device device) {
  check(device.is_cuda(), "device ", device, " has no CUDA stream");
  check(cuda_available(), "device ", device, " cannot be used: ", cuda().missing);
  const c10::impl::DeviceGuardImplInterface* guard = c10::impl::getDeviceGuardImpl(device.type());
  const c10::Stream stream = guard->getStream(c10::Device(device.type(), index_of(device)));
  return static_cast<CUstream_st*>(guard->getStreamNativeHandle(stream));
}

int64_t peak_memory(c10::Device device) {
  if (!device.is_cuda()) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<int64_t>(usage.ru_maxrss) * 1024;
  }
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device.type());
  if (!allocator->initialized()) return 0;
  constexpr size_t kAllPools = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return allocator->getDeviceStats(index_of(device)).allocated_bytes[kAllPools].peak;
}

}  // namespace moga
