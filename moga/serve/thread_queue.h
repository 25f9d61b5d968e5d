// The threads of a server: each serves one connection, new ones start when none is free, up to a number.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace moga {

class ThreadQueue : public httplib::TaskQueue {
 public:
  explicit ThreadQueue(size_t most) : most_(most) {}
  ~ThreadQueue() override = default;

  void enqueue(std::function<void()> work) override;
  void shutdown() override;  // runs what waits, and ends the threads

 private:
  void run();

  size_t most_;
  std::mutex mutex_;
  std::condition_variable change_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  size_t free_ = 0;
  bool ends_ = false;
};

}  // namespace moga
