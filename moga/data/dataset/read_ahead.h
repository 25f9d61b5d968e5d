// Values at positions first, first + 1, … of a function, made by threads ahead of their use and handed out in order. At
// most `ahead` values exist at a time, so memory is bounded whatever the number of positions.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace moga {

template <class Value>
class ReadAhead {
 public:
  // `make(position)` is called by several threads at once.
  ReadAhead(std::function<Value(int64_t)> make, int64_t first, int64_t ahead, int threads)
      : make_(std::move(make)), next_(first), started_(first), ahead_(ahead) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  }
  ~ReadAhead() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  int64_t position() const { return next_; }  // of the next value

  // Waits for the value. Throws what make() threw for this position.
  Value next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return made_.contains(next_); });
    auto node = made_.extract(next_++);
    lock.unlock();
    changed_.notify_all();
    if (node.mapped().error) std::rethrow_exception(node.mapped().error);
    return std::move(*node.mapped().value);
  }

 private:
  struct Made {
    std::optional<Value> value;
    std::exception_ptr error;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return stop_ || started_ < next_ + ahead_; });
      if (stop_) return;
      const int64_t position = started_++;
      lock.unlock();
      Made made;
      try {
        made.value = make_(position);
      } catch (...) {
        made.error = std::current_exception();
      }
      lock.lock();
      made_.emplace(position, std::move(made));
      changed_.notify_all();
    }
  }

  std::function<Value(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Made> made_;
  int64_t next_, started_, ahead_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace moga
