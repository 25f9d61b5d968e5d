// Looks backends up in the registry. "auto" is the first that serves device, dtype and head size of q, or the
// reference.
#include "moga/attention/backend.h"

#include <ATen/ATen.h>

#include <cmath>

#include "moga/attention/attend.h"
#include "moga/attention/backend_list.h"
#include "moga/core/check.h"
#include "moga/core/device.h"
#include "moga/core/log_line.h"

namespace moga {
namespace {

struct Registered {
  AttentionBackend choice;
  const Backend* backend;
};

#define MOGA_REGISTER(value, name, help, object) {AttentionBackend::value, &(object)},
const Registered kRegistry[] = {MOGA_ATTENTION_BACKENDS(MOGA_REGISTER)};
#undef MOGA_REGISTER

const Backend* find_backend(AttentionBackend choice) {
  for (const Registered& registered : kRegistry)
    if (registered.choice == choice) return registered.backend;
  return nullptr;
}

}  // namespace

AttentionBackend default_backend(const at::Tensor& q) {
  for (const Registered& registered : kRegistry)
    if (registered.backend->can_serve(q)) return registered.choice;
  return AttentionBackend::kReference;
}

const Backend* choose_backend(const at::Tensor& q, AttentionBackend choice) {
  const AttentionBackend chosen = choice == AttentionBackend::kAuto ? default_backend(q) : choice;
  const Backend* backend = find_backend(chosen);
  const std::string name = name_of(chosen), dtype = dtype_name(q.scalar_type());
  check(!backend || backend->can_serve(q), "attention backend ", name, " serves ", backend ? backend->serves : "",
        "; q is ", dtype, " on ", q.device(), " with head size ", q.size(-1));
  log_once("attention " + name + dtype, "attention: " + name + " (" + (backend ? backend->serves : "plain operations") +
                                            "), " + dtype + ", head size " + std::to_string(q.size(-1)));
  return backend;
}

std::vector<BackendState> backend_states(c10::Device device, c10::ScalarType dtype, int64_t head_size) {
  const at::Tensor q = at::empty({1, 1, head_size}, at::TensorOptions(dtype).device(device));
  const AttentionBackend chosen = default_backend(q);
  std::vector<BackendState> states;
  for (const Registered& registered : kRegistry)
    states.push_back({name_of(registered.choice), registered.backend->serves, registered.backend->can_serve(q),
                      registered.choice == chosen});
  states.push_back({name_of(AttentionBackend::kReference), "plain operations on any device and dtype", true,
                    chosen == AttentionBackend::kReference});
  return states;
}

double attention_scale(const at::Tensor& q) { return 1.0 / std::sqrt(static_cast<double>(q.size(-1))); }

}  // namespace moga
