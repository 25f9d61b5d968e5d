// Stream keys by SplitMix64 over (seed, purpose, index).
#include "moga/core/random.h"

#include <ATen/Context.h>

namespace moga {
namespace {

uint64_t mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15ull;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
  return value ^ (value >> 31);
}

}  // namespace

uint64_t random_key(uint64_t seed, std::string_view purpose, uint64_t index) {
  uint64_t key = mix(seed);
  for (const char letter : purpose) key = mix(key ^ static_cast<unsigned char>(letter));
  return mix(key ^ mix(index));
}

at::Generator random_stream(uint64_t seed, std::string_view purpose, uint64_t index, c10::Device device) {
  at::Generator generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(random_key(seed, purpose, index));
  return generator;
}

}  // namespace moga
