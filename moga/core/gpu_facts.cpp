// See gpu_facts.h. The functions of CUDA's driver are looked up by name, with the types of its C interface (0 is
// success), so that nothing here links a CUDA library.
#include "moga/core/gpu_facts.h"

#include <dlfcn.h>

#include <array>

namespace moga {
namespace {

constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_…

class Driver {
 public:
  Driver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL)) {}
  bool loaded() const { return library_; }

  // Whether the function exists and succeeded.
  template <class... Types, class... Arguments>
  bool call(const char* name, int (*)(Types...), Arguments... arguments) const {
    const auto function = reinterpret_cast<int (*)(Types...)>(dlsym(library_, name));
    return function && function(arguments...) == 0;
  }

 private:
  void* library_;
};

template <class... Types>
using Signature = int (*)(Types...);

// The driver's handles of its first `count` devices.
std::vector<int> handles_of(const Driver& driver, int count) {
  std::vector<int> handles(count, -1);
  for (int device = 0; device < count; ++device)
    driver.call("cuDeviceGet", Signature<int*, int>(), &handles[device], device);
  return handles;
}

GpuFacts facts_of(const Driver& driver, int device, const std::vector<int>& devices) {
  GpuFacts facts;
  std::array<char, 256> name{};
  if (driver.call("cuDeviceGetName", Signature<char*, int, int>(), name.data(), 255, device)) facts.name = name.data();
  const auto attribute = [&](int which) {
    int value = 0;
    driver.call("cuDeviceGetAttribute", Signature<int*, int, int>(), &value, which, device);
    return value;
  };
  facts.capability_major = attribute(kCapabilityMajor);
  facts.capability_minor = attribute(kCapabilityMinor);
  size_t bytes = 0;
  if (driver.call("cuDeviceTotalMem_v2", Signature<size_t*, int>(), &bytes, device))
    facts.memory = static_cast<int64_t>(bytes);
  for (size_t peer = 0; peer < devices.size(); ++peer) {
    int reaches = 0;
    const bool known = devices[peer] != device && driver.call("cuDeviceCanAccessPeer", Signature<int*, int, int>(),
                                                              &reaches, device, devices[peer]);
    if (known && reaches) facts.peers.push_back(static_cast<int>(peer));
  }
  return facts;
}

}  // namespace

DriverFacts driver_facts() {
  const Driver driver;
  if (!driver.loaded()) return {.problem = "no NVIDIA driver is installed (libcuda.so.1 was not found)"};
  DriverFacts facts;
  int count = 0;
  if (!driver.call("cuInit", Signature<unsigned>(), 0u) ||
      !driver.call("cuDeviceGetCount", Signature<int*>(), &count) || count == 0)
    return {.problem = "the NVIDIA driver sees no GPU"};
  driver.call("cuDriverGetVersion", Signature<int*>(), &facts.cuda_version);
  const std::vector<int> devices = handles_of(driver, count);
  for (const int device : devices) facts.gpus.push_back(facts_of(driver, device, devices));
  return facts;
}

}  // namespace moga
