// The weights of a folder into a model of any family: storage, routers that the file may lack, values, adapters.
#pragma once

#include <string>

#include "moga/core/log.h"
#include "moga/core/module_io.h"
#include "moga/model/family.h"
#include "moga/model/layers/kept_precision.h"
#include "moga/model/layers/scaled_weights.h"
#include "moga/model/layers/weight_places.h"

namespace moga {

// `model` was built without values; `options` names its tensors in `file`. `source`: for the log.
template <class Model>
void load_weights(Model& model, const Safetensors& file, LoadOptions options, const VideoModelLoad& how,
                  const std::string& source) {
  expect_scaled_weights(model, file, options);
  allocate_weights(model, {.device = how.device, .stream_blocks = how.stream_blocks, .rest_on_host = how.rest_on_host},
                   [&](const std::string& name) { return kept_dtype(name, how.dtype); });
  if (how.stream_blocks)
    model.keep_blocks_on_host(how.device);
  else if (how.rest_on_host)
    model.keep_on_host(how.device);
  model.initialise_routers();

  const LoadReport report = load_parameters(model, file, options);
  if (!report.kept.empty())
    log_info(source, ": no routers in the file, initialised at random (", report.kept.size(),
             " tensors); moga calibrate computes better ones");
  if (how.adapt) how.adapt(model);
  if (how.stream_blocks) model.stream_blocks();
}

}  // namespace moga
