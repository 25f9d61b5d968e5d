// The parameters of a Wan transformer that stay float32 (float64 in float64) whatever dtype products run in: norms,
// modulations, the time embedding and the routers. diffusers keeps the same; they are small and sensitive.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

#include "moga/model/layers/linear.h"
#include "moga/model/video_model.h"

namespace moga {

// `name`: of the model's parameter, or of one of its blocks'.
inline at::ScalarType kept_dtype(const std::string& name, at::ScalarType dtype) {
  const auto contains = [&](const char* part) { return name.find(part) != std::string::npos; };
  const bool sensitive = contains("modulation") || contains("norm") || contains("time_embedding") || is_router(name);
  return sensitive ? wide(dtype) : dtype;
}

}  // namespace moga
