// Which videos each train step of a stage takes, and how they are cut into the pieces that each data rank computes.
//
//   by count    every batch has as many videos
//   by tokens   a batch takes the next videos of the order as long as all of them have at most so many tokens: videos
//               of different sizes are mixed, and a train step costs about the same whatever it takes
//
// Both are functions of the order and the number of the train step: nothing of it is saved, and a mesh or another
// number of pieces changes no batch. Pieces by tokens are contiguous, as even as they come, and each has a video; every
// data rank computes as many of them, since ranks may gather weights for each.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace moga {

// A permutation of the data for each epoch: position 0, 1, … of the stage → index of a video.
class DataOrder {
 public:
  DataOrder(uint64_t seed, std::string purpose, int64_t size);
  int64_t at(int64_t position);

 private:
  uint64_t seed_;
  std::string purpose_;
  int64_t size_;
  int64_t epoch_ = -1;
  std::vector<int64_t> permutation_;
};

struct BatchRule {
  int64_t videos = 0;  // per batch
  int64_t tokens = 0;  // at most, per batch, in place of `videos`; 0: by count
  int64_t pieces = 1;  // of a batch, on all data ranks together by count, on each of them by tokens
  int64_t data_ranks = 1, data_rank = 0;
};

struct OwnBatch {
  int64_t videos = 0;                        // of the whole batch
  int64_t first = 0;                         // number of this rank's first one in the batch
  std::vector<std::vector<int64_t>> pieces;  // indices of this rank's videos
};

class StageBatches {
 public:
  // By tokens, `tokens` has those of every video by its index, and no video has more than rule.tokens / data_ranks.
  StageBatches(DataOrder order, const BatchRule& rule, std::vector<int64_t> tokens = {});

  OwnBatch at(int64_t step);  // train steps of the stage before this one
  // Index of this data rank's video `position` from train step `first` on, one after the other.
  std::function<int64_t(int64_t position)> own_videos_from(int64_t first) const;

 private:
  OwnBatch by_count(int64_t step);
  OwnBatch by_tokens(int64_t step);
  int64_t start_of(int64_t step);

  DataOrder order_;
  BatchRule rule_;
  std::vector<int64_t> tokens_;
  std::vector<int64_t> starts_ = {0};  // position in the order of each batch's first video, as far as was asked
};

// Cuts items of these sizes into `parts` contiguous parts with at least one item each, the largest of which is as small
// as possible. The ends of the parts.
std::vector<int64_t> even_parts(const std::vector<int64_t>& sizes, int64_t parts);

}  // namespace moga
