// Lets tasks wait until something changes, and gives up waiting when a token is cancelled.

using System.Threading;
using System.Threading.Tasks;

namespace Voxwire.Connection
{
    /// <summary>Take `Next` under the lock under which the condition was found untrue; then await it outside.</summary>
    internal sealed class Signal
    {
        private TaskCompletionSource<bool> source = Fresh();

        internal Task Next
        {
            get { return Volatile.Read(ref source).Task; }
        }

        /// <summary>Wake whoever waits. They go on elsewhere, so this may be called under a lock.</summary>
        internal void Pulse()
        {
            Interlocked.Exchange(ref source, Fresh()).TrySetResult(true);
        }

        /// <summary>Wait for a task, or until the token is cancelled.</summary>
        /// <exception cref="System.OperationCanceledException">The token was cancelled first.</exception>
        internal static async Task WaitAsync(Task task, CancellationToken cancel)
        {
            if (!task.IsCompleted && cancel.CanBeCanceled)
            {
                TaskCompletionSource<bool> gone = Fresh();
                using (cancel.Register(() => gone.TrySetResult(true)))
                    await Task.WhenAny(task, gone.Task).ConfigureAwait(false);
                if (!task.IsCompleted)
                    cancel.ThrowIfCancellationRequested();
            }
            await task.ConfigureAwait(false);
        }

        /// <summary>Await a task whatever becomes of it.</summary>
        internal static async Task QuietlyAsync(Task task)
        {
            await Task.WhenAny(task).ConfigureAwait(false);
            // Asked for, so that nobody takes it for an error that was overlooked.
            if (task.IsFaulted && task.Exception == null)
                return;
        }

        private static TaskCompletionSource<bool> Fresh()
        {
            return new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
